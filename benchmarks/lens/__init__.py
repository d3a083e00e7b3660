"""How well the lens finds look-alikes on Totally-Looks-Like, next to simpler ways, and why.

Each seed draws its own folds; each pair is judged by a lens that was trained on the pairs of the
other folds, PCA, scaling and hub penalty included. What is compared is fixed in trials.py. Reads
the pictures in TLL_ROOT; writes tll.json, tll.md, two plots and a page with pictures, which is why
none of it is committed. Beside it: whether the regions that `why` shows matter (why.py), how pairs
should rank (striking.py), what `dupes` finds of made-up copies (copies.py), whether borders decide
what is found (borders.py), and a page on which a person judges two lenses (judge.py).
"""

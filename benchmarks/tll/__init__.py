"""How well the lens finds look-alikes on Totally-Looks-Like, next to simpler ways, and why.

Each seed draws its own folds; each pair is judged by a lens that was trained on the pairs of the
other folds, PCA, scaling and hub penalty included. What is compared is fixed in systems.py. Reads
the pictures in TLL_ROOT; writes tll.json, tll.md, two drawings and a page with pictures, which is
why none of it is committed.
"""

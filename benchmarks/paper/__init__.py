"""Every system of the paper, run again: their numbers next to those measured here.

One split of the pairs, 75 to 25, for all of it, as in the paper. Each row is measured with the
backbone that the paper used, where its weights are (`TLL_WEIGHTS_DIR`), and with the bundled one in
its place, which is always there. What is compared is fixed in rows.py.
"""

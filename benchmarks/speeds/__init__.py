"""How fast, how small, how exact: every goal of the speed issue, measured in one run.

What is measured, and how good it should be, is fixed in rows.py. A row that fails is told as such,
and the others still run. Compare ratios: seconds are those of one machine.
"""

"""How fast, how small, how exact, measured in one run: `python -m benchmarks.speed [--quick]`.

What is measured, and how good it should be, is fixed in rows.py. A row that fails says so, and the
others still run. Compare ratios: seconds are those of one machine.
"""

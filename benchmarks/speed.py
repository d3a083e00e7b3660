"""The benchmark of speed: `python benchmarks/speed.py [--quick]`, or `python -m benchmarks.speed`.

A door only: what it does is in speeds/.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    runpy.run_module("benchmarks.speeds", run_name="__main__", alter_sys=True)

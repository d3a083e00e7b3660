"""Torture of stores: `python benchmarks/torture.py [--minutes 20]`, or `-m benchmarks.torture`.

A door only: what it does is in tortures/.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    runpy.run_module("benchmarks.tortures", run_name="__main__", alter_sys=True)

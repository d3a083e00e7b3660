"""Run the benchmark of speed: `python -m benchmarks [--quick]`."""

from __future__ import annotations

from .speeds.__main__ import main

if __name__ == "__main__":
    main()

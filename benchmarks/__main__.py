"""The speed benchmark, as `python -m benchmarks.speed` runs it."""

from __future__ import annotations

from .speed.__main__ import main

if __name__ == "__main__":
    main()

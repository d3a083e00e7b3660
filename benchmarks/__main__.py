"""Run every benchmark: `python -m benchmarks`."""

from __future__ import annotations

from . import build_and_query

if __name__ == "__main__":
    build_and_query.main()

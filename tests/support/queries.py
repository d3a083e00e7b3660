"""What a store finds for pictures, to be held against what it, or another, finds later."""

from __future__ import annotations

from pathlib import Path

from tll_index import Store


def hits_of(
    paths: list[Path], store: str | Path | None = None
) -> dict[Path, list[tuple[str, float]]]:
    """The best five hits of each picture, itself included: path and score."""
    with Store.open(store) as opened:
        return {
            path: [(hit.path, hit.score) for hit in opened.query(path, 5, include_self=True)]
            for path in paths
        }

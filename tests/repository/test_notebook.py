"""The notebook runs from top to bottom, and finds what it says it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples/tour.ipynb"


def shown(cell: Any, kind: str) -> list[str]:
    """What a cell gave of a media type, or printed."""
    outputs = [out.get("data", {}).get(kind) or out.get("text", "") for out in cell.outputs]
    return [out for out in outputs if out]


@pytest.mark.timeout(1800)
def test_the_tour() -> None:
    nbformat = pytest.importorskip("nbformat", reason="the extra 'docs' is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the extra 'docs' is not installed")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # none are committed
    nbclient.NotebookClient(
        notebook,
        timeout=1500,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    ).execute()
    by_start = {cell.source.splitlines()[0]: cell for cell in notebook.cells}
    built = shown(by_start["from tll_index import Store, build"], "text/plain")[-1]
    added, unchanged = map(int, built.strip("()").split(","))
    assert added == unchanged > 100
    found = shown(by_start['store = Store.open(HERE / "gallery.tll")'], "text/plain")
    assert "lollipop" in found[0]  # another spiral
    assert shown(by_start["from tll_index import contact_sheet"], "image/png")
    assert shown(by_start["from tll_index import why"], "image/png")
    pairs = "".join(shown(by_start["from tll_index import pairs"], "text/plain"))
    assert pairs.count(" / ") == 5

"""The notebook runs from top to bottom, from anywhere, and holds what such a run gives."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = EXAMPLES / "tour.ipynb"
MOST_BYTES = 1_000_000
NUMBER = re.compile(r"(-?\d+\.\d+)")
BUILD = "from tll_index import Rules, Store, build"
SEARCH = 'store = Store.open(work / "gallery.tll")'


def run_tour() -> ModuleType:
    """`examples/run_tour.py`, which `make tour` runs."""
    spec = importlib.util.spec_from_file_location("run_tour", EXAMPLES / "run_tour.py")
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def printed(cell: Any) -> str:
    """What a cell gave as text, or printed."""
    outputs = [out.get("text", "") or out["data"]["text/plain"] for out in cell["outputs"]]
    return "".join("".join(out) for out in outputs)


def pictures(cell: Any) -> int:
    """How many pictures a cell showed."""
    return sum("image/jpeg" in out.get("data", {}) for out in cell["outputs"])


def stored() -> list[Any]:
    """The cells of code as they are in the repository."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def cell_of(cells: list[Any], line: str) -> Any:
    """The cell that has this line."""
    (found,) = (cell for cell in cells if line in "".join(cell["source"]).splitlines())
    return found


def test_the_tour_is_stored_with_its_outputs() -> None:
    cells = stored()
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {out["output_type"] for cell in cells for out in cell["outputs"]}
    assert kinds == {"display_data", "execute_result", "stream"}  # and no error
    assert not re.search(r"/\w+/\w", "".join(map(printed, cells)))  # no paths of a machine
    assert sum(map(pictures, cells)) == 3
    added, unchanged = map(int, re.findall(r"\d+", printed(cell_of(cells, BUILD))))
    assert added == unchanged > 50
    assert "cinnamon-roll" in printed(cell_of(cells, SEARCH))  # another spiral
    assert printed(cell_of(cells, "from tll_index import pairs")).count(" / ") == 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tour_runs_from_anywhere(tmp_path: Path) -> None:
    """And gives the stored texts again; scores to three decimals may differ in the last."""
    for name in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(name, reason="the extra 'docs' is not installed")
    cells = [cell for cell in run_tour().executed(tmp_path).cells if cell.cell_type == "code"]
    assert len(cells) == len(stored())
    for now, before in zip(cells, stored(), strict=True):
        texts, wanted = NUMBER.split(printed(now)), NUMBER.split(printed(before))
        assert texts[::2] == wanted[::2], now.source
        assert [float(one) for one in texts[1::2]] == pytest.approx(
            [float(one) for one in wanted[1::2]], abs=0.0015
        )
        assert pictures(now) == pictures(before)

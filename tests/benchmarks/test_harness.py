"""What all benchmarks share, with a made-up row: run, written, shown, compared with a release."""

from __future__ import annotations

import json
import re
import runpy
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tll_index.core.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.harness

    return benchmarks.harness


@pytest.fixture
def compare(harness: ModuleType) -> ModuleType:
    import benchmarks.compare

    return benchmarks.compare


def test_a_row_that_fails_keeps_no_other_from_running(harness: ModuleType) -> None:
    def measure(row: Any) -> float:
        if row.key == "fails":
            raise ValueError("what happened")
        if row.key == "cannot":
            raise harness.NotMeasurableError("no such thing")
        return 2.0

    rows = [harness.Row(key, f"a row that {key}") for key in ("fails", "cannot", "works")]
    noted: list[str] = []
    failed, unmeasured, measured = harness.run_rows(rows, measure, noted.append)
    assert (failed.found, failed.error) == (None, "ValueError: what happened")
    assert (unmeasured.reason, unmeasured.error) == ("no such thing", "")
    assert (measured.found, measured.reason, measured.error) == (2.0, "", "")
    assert noted[0] == "fails: a row that fails" and "Traceback" in noted[1]
    assert [row.key for row in harness.chosen_rows(rows, ["works,fails"])] == ["fails", "works"]
    with pytest.raises(UsageError, match="'nonsense'; rows are: fails, cannot, works"):
        harness.chosen_rows(rows, ["works", "nonsense"])


def test_results_are_written_as_they_come(harness: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "out/fake.json"

    def results() -> Any:
        for number in range(2):
            assert json.loads(file.read_text())["rows"] == list(range(number))
            yield number
        raise KeyboardInterrupt

    found, stopped = harness.record(
        results(), file, lambda rows, seconds: {"rows": list(rows), "seconds": seconds}
    )
    assert stopped and found["rows"] == [0, 1] and found["seconds"] >= 0
    assert json.loads(file.read_text()) == found


def test_the_command_line_is_that_of_all(
    harness: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [harness.Row("fake", "nothing")]
    parser = harness.parser("What it does.\n\nMore.", quick="less", rows=rows)
    chosen = parser.parse_args(["--quick", "--rows", "fake", "--out", "there"])
    assert (chosen.quick, chosen.rows, chosen.out) == (True, ["fake"], Path("there"))
    assert parser.parse_args([]).out == ROOT / "benchmarks/out"
    shown = parser.format_help()
    assert "What it does." in shown and "More." not in shown and "benchmarks/out" in shown


def test_every_benchmark_has_a_command_line(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that the Makefile names, and there are no others."""
    named = re.findall(r"-m (benchmarks[.\w]*)", (ROOT / "Makefile").read_text())
    assert len(named) == len(set(named)) == 13
    for module in (*named, "benchmarks"):
        monkeypatch.setattr(sys, "argv", [module, "--help"])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            warnings.simplefilter("ignore")  # other tests may have imported it already
            runpy.run_module(module, run_name="__main__")
        shown = capsys.readouterr().out
        assert ended.value.code == 0 and "--out" in shown and "benchmarks/out" in shown, module
    files = [file for file in (ROOT / "benchmarks").rglob("*.py") if "parser(" in file.read_text()]
    parts = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    starts = {name.removesuffix(".__main__") for name in parts} - {"benchmarks.harness"}
    assert starts == set(named)


def test_tables(harness: ModuleType) -> None:
    assert harness.markdown(("", "n", "why"), [("a", "1", "b")], left=(0, -1)) == [
        "| | n | why |",
        "|---|--:|---|",
        "| a | 1 | b |",
    ]


def test_what_is_compared_is_timed_in_turn(harness: ModuleType) -> None:
    calls: list[tuple[str, int]] = []
    works = {name: lambda turn, name=name: calls.append((name, turn)) for name in "ab"}
    taken = harness.in_turn(works, 2)
    assert calls == [("a", 0), ("b", 0)] * 2 + [("a", 1), ("b", 1)]  # the first round warms up
    assert {name: len(times) for name, times in taken.items()} == {"a": 2, "b": 2}
    assert harness.timed(lambda: 7)[1] == 7 and harness.typical(lambda: None, 3) >= 0


def test_work_apart_has_its_own_memory(harness: ModuleType) -> None:
    from benchmarks.processes import apart

    done = apart("harness:machine")
    assert done.result == harness.machine()
    if sys.platform == "linux":
        assert done.peaks.resident > 1 << 20
    with pytest.raises(RuntimeError, match="AttributeError"):
        apart("harness:no_such_function")


def run_of(release: str, **measured: float | None) -> dict[str, Any]:
    """What `speed.json` holds, of these rows."""
    rows = [
        {
            "row": row,
            "measured": figure,
            "unit": "times",
            "met": True,
            "seconds": 1.0,
            "figures": {"rate": 10.0, "each": [1, 2], "exact": True},
        }
        for row, figure in measured.items()
    ]
    machine = {"cpu": "one", "cores": 2, "tll_index": release}
    return {"sizes": "quick", "machine": machine, "rows": rows}


def test_a_run_is_compared_with_releases(compare: ModuleType, tmp_path: Path) -> None:
    for release, figure in (("0.2.0", 2.0), ("0.10.0", 4.0)):
        kept = compare.keep(run_of(release, model=figure, help=0.1, memory=0.0), tmp_path)
        assert kept.name == f"{release}.json" and kept.stat().st_size < 2000
    released = compare.kept(tmp_path)
    assert released["release"] == "0.10.0"
    assert compare.kept(tmp_path, "0.2.0")["rows"][0]["measured"] == 2.0
    with pytest.raises(SystemExit, match=r"0\.3\.0 is not kept; these are: 0\.10\.0, 0\.2\.0"):
        compare.kept(tmp_path, "0.3.0")

    now = run_of("0.11.0", model=5.0, help=0.2, memory=0.1)
    head, *lines = compare.table(released, now, figures=True)
    assert head.split() == ["0.10.0", "now", "ratio"]
    told = {line.split()[0]: line.split() for line in lines}
    assert told["model"] == ["model", "4", "5", "1.25", "times,", "better"]
    assert told["help"] == ["help", "0.1", "0.2", "2.00", "times,", "worse"]
    assert told["memory"] == ["memory", "0", "0.1", "times"]  # nothing grew: no ratio
    assert lines[1].split() == ["10", "10", "1.00", "rate"]  # a single number, and no other figure
    assert len(lines) == 6


def test_what_can_not_be_compared_is_said(compare: ModuleType, tmp_path: Path) -> None:
    released = json.loads(compare.keep(run_of("0.2.0", model=2.0, help=0.1), tmp_path).read_text())
    now = run_of("0.3.0", model=2.1, help=None)
    now = {**now, "sizes": "full", "machine": {**now["machine"], "cores": 16}}
    lines = list(compare.table(released, now))
    assert "not comparable: sizes were quick and are full" in lines
    assert "not comparable: cores were 2 and are 16" in lines
    assert lines[-2].split() == ["model", "2", "2.1", "1.05", "times"]  # alike: no verdict
    assert lines[-1].split() == ["help", "0.1", "not", "measured"]


def test_each_kept_release_can_be_compared_with(compare: ModuleType, harness: ModuleType) -> None:
    rows = {row.key for row in sys.modules["benchmarks.speed.rows"].ROWS}
    for file in harness.RELEASES.glob("*.json"):
        released = compare.kept(harness.RELEASES, file.stem)
        assert released["release"] == file.stem and file.stat().st_size < 20_000
        assert {row["row"] for row in released["rows"]} <= rows


def test_the_command_compares_and_keeps(
    compare: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(compare, "RELEASES", tmp_path / "results")
    file = tmp_path / "speed.json"
    command = ["compare", "--out", str(file)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="run make bench first"):
        compare.main()
    file.write_text(json.dumps(run_of("0.2.0", model=2.0)))
    with pytest.raises(SystemExit, match="has no releases"):
        compare.main()
    monkeypatch.setattr(sys, "argv", [*command, "--keep"])
    compare.main()
    assert (tmp_path / "results/0.2.0.json").is_file()
    monkeypatch.setattr(sys, "argv", [*command, "0.2.0"])
    compare.main()
    assert "model" in capsys.readouterr().out


def test_rows_say_which_figures_are_better(compare: ModuleType) -> None:
    """As their goals do."""
    rows = sys.modules["benchmarks.speed.rows"]
    for row in rows.ROWS:
        is_higher = "at least" in row.goal.split(",")[0]
        assert row.better == (rows.HIGHER if is_higher else rows.LOWER)

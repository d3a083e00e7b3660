"""submit as people meet it: a file in the format that Kaggle takes, or one line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from tll_index.core.config import load_settings
from tll_index.engine.lens.embedder import load_embedder
from training import OFFERED, UNPAIRED, one_line, pixels, write_csv

Cli = Callable[..., Result]


def test_submit(data: Path, lens: Path, tll_index: Cli) -> None:
    result = tll_index("submit", data, "--out", "s.csv", "--lens", lens)
    assert result.code == 0, result
    assert result.out == f"wrote s.csv: {UNPAIRED} rows, the format of sample-submission.csv\n"
    with Path("s.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["left", *(f"c{number}" for number in range(OFFERED))]
    embedder = load_embedder("tiny", load_settings(), lens=lens)
    query = embedder.encode_query(pixels(data / "test/left/l101.png"))
    gallery = embedder.encode_gallery(pixels(data / "test/right/r103.png"))
    lists = (data / "test_candidates.csv").read_text().splitlines()
    column = lists[2].split(",").index("r103")
    score = embedder.lens.scale * float(query[0] @ gallery[0])
    assert rows[2][0] == "l101" and float(rows[2][column]) == pytest.approx(score, abs=2e-3)
    plain = tll_index("submit", data, "--out", "s.csv", "--lens", "none", "--backbone", "tiny")
    assert plain.code == 0 and all(
        0.5 < float(value) <= 1.000001
        for line in Path("s.csv").read_text().splitlines()[1:]
        for value in line.split(",")[1:]
    )


def test_submit_other_candidates(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    write_csv(here / "few.csv", [["left", "c0", "c1"], ["l102", "r100", "r101"]])
    result = tll_index(
        "submit", data, "--out", "s.csv", "--lens", lens, "--candidates-file", "few.csv"
    )
    assert result.out == "wrote s.csv: 1 row\n"
    (data / "sample-submission.csv").unlink()
    result = tll_index("submit", data, "--out", "s.csv", "--lens", lens)
    assert result.out == f"wrote s.csv: {UNPAIRED} rows\n"


def test_submit_refuses(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    sample = (data / "sample-submission.csv").read_text()
    common = ("submit", data, "--lens", lens, "--out")
    for name in ("sample-submission.csv", "test_candidates.csv"):
        result = tll_index(*common, data / name)
        assert result.code == 2 and "is read here, not written" in result.err
    assert (data / "sample-submission.csv").read_text() == sample
    assert "there is no folder" in one_line(tll_index(*common, "no/such/s.csv"), 1)
    assert "--out is missing" in one_line(tll_index("submit", data), 2)
    nowhere = tll_index("submit", "nowhere", "--out", "s.csv", "--backbone", "tiny")
    assert "nowhere/test_candidates.csv can't be read" in one_line(nowhere, 1)
    (data / "sample-submission.csv").write_text(sample.replace("l103", "l999"))
    message = one_line(tll_index(*common, "s.csv", "-q"), 1)
    assert "s.csv, line 5: is about l103" in message and "has l999" in message
    (data / "test/right/r104.png").unlink()
    message = one_line(tll_index(*common, "other.csv"), 1)
    assert "test_candidates.csv, line 2: there is no picture r104 in" in message
    assert not (here / "other.csv").exists()

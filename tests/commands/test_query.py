"""Questions of the command line: several pictures, parts of them, parts of the store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tiny
from conftest import Result
from pictures import encoded, fill_folder, noise
from tll_index import Crop, Store, build
from tll_index.indexer.ingest.build import Recipe

Cli = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def photos(here: Path) -> list[Path]:
    paths = fill_folder(here / "photos", 6) + fill_folder(here / "photos/holidays", 3, first=10)
    build(["photos"], recipe=Recipe("tiny"))
    return paths


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.code == 0, result
    return [json.loads(line) for line in result.out.splitlines()]


def scores(hits: Any) -> list[tuple[str, float]]:
    return [(hit.path, hit.score) for hit in hits]


def found(result: Result) -> list[tuple[str, float]]:
    return [(row["path"], row["score"]) for row in rows(result)]


def test_together_plus_and_minus_are_one_question(photos: list[Path], tll_index: Cli) -> None:
    a, b, c = photos[:3]
    with Store.open() as store:
        one, other, third = (store.encode_query(path) for path in (a, b, c))
        together = scores(store.query_blend([one, other]))
        assert found(tll_index("query", a, b, "--together", "--json")) == together
        assert found(tll_index("query", a, "--plus", b, "--json")) == together
        assert found(tll_index("query", "--plus", a, "--plus", b, "--json")) == together
        weighed = scores(store.query_blend([one, other.weighing(2), third.weighing(-0.5)]))
        result = tll_index("query", a, "--plus", f"{b}=2", "--minus", f"{c}=0.5", "--json")
        assert found(result) == weighed != together
        assert rows(result)[0]["query"] == f"{a} + 2 {b} - 0.5 {c}"
    apart = rows(tll_index("query", a, b, "--json"))
    assert {row["query"] for row in apart} == {str(a), str(b)}  # as ever


def test_a_name_that_ends_like_a_weight(photos: list[Path], tll_index: Cli, here: Path) -> None:
    Path("x=2").write_bytes(photos[1].read_bytes())
    by_name = tll_index("query", photos[0], "--plus", "x=2", "--json")
    assert found(by_name) == found(tll_index("query", photos[0], "--plus", photos[1], "--json"))
    twice = tll_index("query", photos[0], "--plus", "x=2=2", "--json")
    assert found(twice) == found(
        tll_index("query", photos[0], "--plus", f"{photos[1]}=2", "--json")
    )
    Path("x=2").unlink()
    assert "x: no such file" in tll_index("query", photos[0], "--plus", "x=2").err
    assert "x=y: no such file" in tll_index("query", photos[0], "--plus", "x=y").err


def test_a_part_of_a_picture(photos: list[Path], tll_index: Cli, here: Path) -> None:
    wide = Image.new("RGB", (80, 30))
    wide.paste(noise(0), (0, 0))
    wide.paste(noise(1), (40, 0))
    wide.save("wide.png")
    for crop, name in (("40,0,40,30", photos[1]), ("0%,0%,50%,100%", photos[0])):
        best = rows(tll_index("query", "wide.png", "--crop", crop, "-k", 1, "--json"))[0]
        assert best["path"] == str(name) and best["score"] > 0.9999
    with Store.open() as store:
        crop = Crop.parse("5,5,30,20")
        expected = scores(store.query("wide.png", crop=crop))
    assert found(tll_index("query", "wide.png", "--crop", "5,5,30,20", "--json")) == expected
    outside = tll_index("query", "wide.png", "--crop", "90,0,5,5")
    assert outside.code == 1 and "wide.png: has 80 x 30 pixels" in outside.err


def test_part_of_the_store(photos: list[Path], tll_index: Cli) -> None:
    every = found(tll_index("query", photos[0], "-k", 99, "--json"))
    holidays = tll_index("query", photos[0], "-k", 99, "--filter", "holidays", "--json")
    assert found(holidays) == [one for one in every if "/holidays/" in one[0]] != []
    both = ("--filter", "holidays", "--filter", "*0001.png")
    assert len(found(tll_index("query", photos[0], "-k", 99, *both, "--json"))) == 4
    least = every[3][1]
    above = tll_index("query", photos[0], "-k", 99, "--min-score", least, "--json")
    assert found(above) == [one for one in every if one[1] >= least]
    none = tll_index("query", photos[0], "--filter", "*.gif")
    assert none.code == 0 and "(no indexed picture is let through)" in none.out


def test_standard_input_among_several(photos: list[Path], spawn: Spawn) -> None:
    process = spawn("query", photos[0], "--minus", "-=0.5", "--json", stdin=subprocess.PIPE)
    out, err = process.communicate(photos[1].read_bytes(), timeout=500)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["query"] == f"{photos[0]} - 0.5 -"
    with Store.open() as store:
        embeddings = [store.encode_query(photos[0]), store.encode_query(photos[1]).weighing(-0.5)]
        assert scores(store.query_blend(embeddings)) == [
            (line["path"], line["score"]) for line in lines
        ]


def test_a_question_with_an_unusable_picture_is_not_asked(
    photos: list[Path], tll_index: Cli, here: Path
) -> None:
    Path("bad.png").write_bytes(encoded(noise(9), "PNG")[:60])
    result = tll_index("query", photos[0], "--plus", "bad.png")
    assert result.code == 1 and result.out == "" and result.err.startswith("tll-index: bad.png: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("{a}", "--plus", "{b}=0"), "a weight is a number above 0"),
        (("{a}", "--minus", "{b}=-1"), "a weight is a number above 0"),
        (("{a}", "--plus", "{b}=nan"), "a weight is a number above 0"),
        (("{a}", "--minus", "{a}"), "cancel each other out"),
        (("{a}", "{b}", "--crop", "0,0,5,5"), "--crop is for one picture"),
        (("{a}", "--minus", "{b}", "--crop", "0,0,5,5"), "--crop is for one picture"),
        (("--sample", "2", "--crop", "0,0,5,5"), "--crop is for one picture"),
        (("{a}", "--crop", "0,0,5"), "expected x,y,width,height"),
        (("{a}", "--crop", "0,0,0,5"), "must be above 0"),
        (("{a}", "--sample", "2", "--together"), "--sample makes each picture a query of its own"),
        (("-", "--plus", "-"), "name '-' once"),
        (("--together",), "name a picture"),
        (("{a}", "--min-score", "nan"), "--min-score: name a finite number"),
        (("{a}", "--filter", ""), "a pattern for paths is empty"),
        (("{a}", "--hyperlinks", "perhaps"), "perhaps"),
    ],
)
def test_questions_that_make_no_sense(
    photos: list[Path], tll_index: Cli, arguments: tuple[str, ...], why: str
) -> None:
    filled = [one.format(a=photos[0], b=photos[1]) for one in arguments]
    result = tll_index("query", *filled)
    assert result.code == 2 and why in result.err and "Traceback" not in result.err


def test_a_query_loads_what_it_needs(photos: list[Path]) -> None:
    """Neither sheets, nor fonts, nor pages; and no torch (but of the tiny backbone's own)."""
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(tiny.__file__).parent)!r})\n"
        "import tiny; tiny.install()\n"
        "from tll_index.cli import main\n"
        f"sys.argv = ['tll-index', 'query', {str(photos[0])!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, None)\n"
        "late = 'rendering.sheets rendering.strips rendering.lettering web commands.train'\n"
        "late = {f'tll_index.{name}' for name in late.split()} | {'jinja2', 'PIL.ImageFont'}\n"
        "print(sorted(late & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == "[]"

"""Contact sheets: what is where, and what a sheet can't be."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from conftest import Result
from pictures import fill_folder
from tll_index import QueryItem, QueryResult, Store, build, contact_sheet
from tll_index.core.contracts import Hit, Hits
from tll_index.core.errors import UsageError
from tll_index.engine.images.crops import Crop
from tll_index.engine.images.decode import Limits
from tll_index.indexer.ingest.build import Recipe
from tll_index.rendering.lettering import fitted, font_for
from tll_index.rendering.results import sign
from tll_index.rendering.sheets import SheetLayout, draw_sheet, require_sheet, sheet_bytes

Cli = Callable[..., Result]

COLOURS = ("#ff0000", "#00ff00", "#0000ff", "#ffff00", "#00ffff", "#ff00ff")
GROUND = (246, 245, 242)
LIMITS = Limits()


@pytest.fixture
def flat(here: Path) -> list[Path]:
    """Six pictures of one colour each."""
    paths = []
    for number, colour in enumerate(COLOURS):
        paths.append(here / f"{number}.png")
        Image.new("RGB", (40, 30), colour).save(paths[-1])
    return paths


def result_of(
    queries: list[Path], hits: list[Path], weight: float = 1.0, score: float = 0.5
) -> QueryResult:
    return QueryResult(
        tuple(QueryItem(str(path), weight=weight) for path in queries),
        Hits(
            "q",
            tuple(
                Hit(rank, score, str(path), (str(path),), 40, 30, "0" * 64)
                for rank, path in enumerate(hits, start=1)
            ),
        ),
    )


def frames(image: Image.Image) -> dict[str, tuple[int, int, int, int]]:
    """Where on a sheet the colours of `flat` are: left, top, right, bottom."""
    pixels = np.asarray(image, int)
    found = {}
    for colour in COLOURS:
        red, green, blue = bytes.fromhex(colour[1:])
        rows, columns = np.nonzero((np.abs(pixels - (red, green, blue)) < 3).all(axis=2))
        if len(rows):
            found[colour] = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return found


def test_each_picture_is_in_its_place(flat: list[Path]) -> None:
    one = result_of([flat[0]], flat[1:])
    layout = SheetLayout.of([one])
    where = frames(draw_sheet([one], LIMITS, layout))
    assert list(where) == list(COLOURS)
    large, tiles = where[COLOURS[0]], [where[colour] for colour in COLOURS[1:]]
    assert large[2] - large[0] == pytest.approx(layout.large, abs=4)  # it is the largest
    for left, top, right, bottom in tiles:
        assert (right - left, bottom - top) == pytest.approx(
            (layout.tile, layout.tile * 3 / 4), abs=4
        )
        assert top == pytest.approx(large[1], abs=2) and left > large[2]
    assert [left for left, *_ in tiles] == sorted(left for left, *_ in tiles)  # in order of rank


def test_hits_go_on_below_in_the_next_line(flat: list[Path]) -> None:
    one = result_of([flat[0]], flat[1:])
    layout = SheetLayout.of([one], columns=2)
    image = draw_sheet([one], LIMITS, layout)
    where = frames(image)
    a, b, c, d, e = (where[colour] for colour in COLOURS[1:])
    assert a[1] == b[1] < c[1] == d[1] < e[1] and c[1] > a[3] and e[1] > c[3]
    assert a[0] == c[0] == e[0] < b[0] == d[0]
    assert e[3] < image.height - layout.margin


def test_several_questions_and_pictures(flat: list[Path]) -> None:
    first, second = result_of(flat[:3], flat[3:5]), result_of([flat[5]], [])
    layout = SheetLayout.of([first, second])
    image = draw_sheet([first, second], LIMITS, layout)
    where = frames(image)
    a, b, c = (where[colour] for colour in COLOURS[:3])
    assert a[1] == b[1] and a[2] < b[0] and c[0] == a[0] and c[1] > a[3]  # two and two
    assert where[COLOURS[5]][1] > c[3]  # the second question is below the first
    assert image.width == layout.width and image.height <= layout.height([layout.row, layout.row])
    assert image.getpixel((1, 1)) == GROUND and image.getpixel((image.width - 1, 1)) == GROUND


def test_scores_are_bars_and_less_is_not_warm(flat: list[Path]) -> None:
    def warm(image: Image.Image, box: tuple[int, int, int, int]) -> int:
        pixels = np.asarray(image.crop(box), int)
        return int((np.abs(pixels - (180, 71, 15)) < 3).all(axis=2).sum())

    counts = []
    for score in (-0.3, 0.1, 0.9):
        one = result_of([flat[0]], [flat[1]], score=score)
        image = draw_sheet([one], LIMITS, SheetLayout.of([one]))
        left, _, right, bottom = frames(image)[COLOURS[1]]
        counts.append(warm(image, (left, bottom + 5, right, bottom + 25)))
    assert counts[0] < counts[1] < counts[2]
    for weight, is_warm in ((1.0, True), (-1.0, False)):
        one = result_of([flat[0]], [flat[1]], weight)
        image = draw_sheet([one], LIMITS, SheetLayout.of([one]))
        left, top, _, bottom = frames(image)[COLOURS[0]]
        assert bool(warm(image, (left - 4, top + 20, left, bottom - 20))) is is_warm


def test_what_is_gone_or_cut_out(flat: list[Path], here: Path) -> None:
    flat[1].unlink()
    both = Image.new("RGB", (80, 40), COLOURS[2])
    both.paste(COLOURS[3], (40, 0, 80, 40))
    both.save(here / "both.png")
    item = QueryItem("-", (here / "both.png").read_bytes(), crop=Crop(50, 0, 50, 100, True))
    one = QueryResult((item,), result_of([flat[0]], [flat[1]]).hits)
    where = frames(draw_sheet([one], LIMITS, SheetLayout.of([one])))
    assert list(where) == [COLOURS[3]]


def test_a_sheet_is_of_the_kind_that_it_is_called(flat: list[Path]) -> None:
    one = result_of([flat[0]], flat[1:])
    for name, kind in (("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.jpeg", "JPEG")):
        require_sheet(Path(name), 1, SheetLayout.of([one]))
        image = Image.open(
            io.BytesIO(sheet_bytes([one], LIMITS, SheetLayout.of([one]), Path(name)))
        )
        assert (
            image.format == kind
            and image.size == draw_sheet([one], LIMITS, SheetLayout.of([one])).size
        )
    for name in ("a.gif", "a", "png"):
        with pytest.raises(UsageError, match=r"a sheet ends in \.png, \.jpg, \.jpeg"):
            require_sheet(Path(name), 1, SheetLayout.of([one]))
    with pytest.raises(UsageError, match="ask for fewer"):
        require_sheet(Path("a.png"), 400, SheetLayout(50))


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=60),
    st.integers(0, 300),
    st.sampled_from(["start", "middle"]),
)
def test_text_is_made_to_fit(text: str, width: int, cut: str) -> None:
    font = ImageFont.load_default(14)
    short = fitted(text, font.getlength, width, cut)
    if font.getlength(text) <= width:
        assert short == text
        return
    before, ellipsis, after = short.rpartition("…")
    assert ellipsis and len(before) + len(after) < len(text)
    assert text.startswith(before) and text.endswith(after)
    assert short == "…" or font.getlength(short) <= width
    assert cut == "middle" or not before


def test_a_font_that_has_the_letters() -> None:
    assert font_for("plain.jpg", 14) == ImageFont.load_default(14) or (
        font_for("plain.jpg", 14).getname() == ImageFont.load_default(14).getname()
    )
    try:
        ImageFont.truetype("DejaVuSans.ttf", 14)
    except OSError:
        pytest.skip("no other font here")
    assert font_for("Снег и лёд.jpg", 14).getname()[0] != ImageFont.load_default(14).getname()[0]


def test_signs() -> None:
    assert [sign(weight) for weight in (1, -1, 0.5, -0.25)] == ["+", "–", "+0.5", "–0.25"]


def test_query_draws_a_sheet(here: Path, tll_index: Cli) -> None:
    photos = fill_folder(here / "photos", 5)
    build(["photos"], recipe=Recipe("tiny"))
    photos[3].unlink()  # indexed, but gone since
    asked = ("query", photos[0], photos[1], "-k", 3, "--sheet", "out.jpg")
    result = tll_index(*asked, "--json")
    assert result.code == 0 and result.err == "wrote out.jpg\n" and result.out.count("\n") == 6
    image = Image.open(here / "out.jpg")
    assert image.format == "JPEG" and image.size == (
        SheetLayout(3).width,
        SheetLayout(3).height([SheetLayout(3).row] * 2),
    )
    one_question = tll_index(*asked[:5], "--together", "--sheet", "one.png", "--html", "one.html")
    assert one_question.code == 0
    assert Image.open(here / "one.png").height < image.height
    page = (here / "one.html").read_text()
    assert page.count("<section>") == 1 and page.count('class="sign">+</b>') == 2
    for wrong, why in (("out.gif", "a sheet ends in"), ("no/out.png", "there is no folder")):
        log = here / "log"
        refused = tll_index("query", photos[0], "--sheet", wrong)
        assert refused.code in (1, 2) and why in refused.err and refused.out == ""
        assert not log.exists()


def test_contact_sheet_of_what_python_found(flat: list[Path]) -> None:
    build([flat[0].parent], recipe=Recipe("tiny"))
    with Store.open() as store:
        one, other = store.query(flat[0]), store.query(flat[1], k=2)
        both = store.query([flat[2], flat[3]], k=3)
    image = contact_sheet(one, other, columns=3)
    assert (
        image.size
        == draw_sheet(
            [QueryResult((QueryItem(hits.query),), hits) for hits in (one, other)],
            LIMITS,
            SheetLayout(5, 1, 3),
        ).size
    )
    parts = tuple(QueryItem(str(path)) for path in flat[2:4])
    where = frames(contact_sheet(QueryResult(parts, both)))
    assert {COLOURS[2], COLOURS[3]} < set(where) and len(where) == 5
    with pytest.raises(UsageError, match="needs a result"):
        contact_sheet()
    with pytest.raises(UsageError, match="ask for fewer"):
        contact_sheet(*[one] * 500)

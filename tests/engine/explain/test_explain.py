"""Which regions make two pictures alike: exact sums over places, masks, and where they lie."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tiny
import tiny_layers
from pictures import encoded, noise
from tll_index.core.config import load_settings
from tll_index.core.errors import NoAttributionError, UsageError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import spec_of
from tll_index.engine.explain.attribution import activations_of, overlaps
from tll_index.engine.explain.explain import Explanation, explain
from tll_index.engine.explain.occlusion import losses
from tll_index.engine.explain.sides import Subject
from tll_index.engine.images.decode import Geometry, Picture, decode, from_image
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.embedder import Embedder, load_embedder
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit

NAMES = [spec.name for spec in tiny_layers.ROWS if spec.name != "tiny-end"]


@pytest.fixture(autouse=True)
def rows(home: Path) -> None:
    tiny_layers.install(home / "weights")


def random_lens(name: str, kind: str) -> Lens:
    """With all the steps that `kind` names."""
    random = np.random.default_rng(8)
    width = spec_of(name).dimension

    def values(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    lens = Lens(name, width, relu="relu" in kind, grey="grey" in kind)
    if "pca" in kind:
        lens = replace(lens, mean=values(width) / 10, components=values(12, width))
    if "adapted" in kind:
        lens = replace(lens, adaptation=values(9, 12 if "pca" in kind else width))
    if "hubs" in kind:
        lens = lens.with_csls(HubnessCorrection(unit(values(7, 9)), 2, 0.5))
    return lens


KINDS = ["none", "relu", "pca", "adapted", "pca adapted", "pca adapted relu", "pca adapted hubs"]


def embedder_of(name: str, lens: Lens | str = "none") -> Embedder:
    return load_embedder(name, load_settings(), lens=lens)


def compared(
    embedder: Embedder, a: Image.Image | bytes, b: Image.Image | bytes, method: str = "auto"
) -> Explanation:
    geometry = embedder.backbone.spec.geometry

    def subject(one: Image.Image | bytes) -> Subject:
        picture = decode(one, geometry) if isinstance(one, bytes) else from_image(one, geometry)
        return Subject("x", picture)

    return explain(embedder, subject(a), subject(b), settings=load_settings(), method=method)


@pytest.mark.parametrize("kind", [*KINDS, "grey pca adapted hubs relu"])
@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_all_places_add_up_to_the_cosine(name: str, kind: str) -> None:
    embedder = embedder_of(name, random_lens(name, kind))
    geometry = embedder.backbone.spec.geometry
    squares = np.stack([from_image(noise(seed), geometry).pixels for seed in (1, 2)])
    vectors = embedder.embed(squares)
    found = compared(embedder, noise(1), noise(2))
    assert found.method == "sum" and found.backbone == name
    cosine = float(vectors[0] @ vectors[1])
    assert abs(found.cosine - cosine) < 1e-5 and abs(cosine) < 0.9999
    for heatmap in (found.heatmap_a, found.heatmap_b):
        assert heatmap.shape == (28, 28) and heatmap.dtype == np.float32
        assert abs(heatmap.sum(dtype=np.float64) - cosine) < 1e-4
    assert heatmap.std() > 0
    score = embedder.lens.scale * float(
        embedder.encode_query(squares[:1])[0] @ embedder.encode_gallery(squares[1:])[0]
    )
    assert abs(found.score - score) < 1e-5
    assert (abs(score - cosine) > 0.01) == ("hubs" in kind)


def test_a_score_that_loses_to_hubs_depends_on_who_asks() -> None:
    embedder = embedder_of("tiny-layers", random_lens("tiny-layers", "pca adapted hubs"))
    there, back = (
        compared(embedder, *pair) for pair in ((noise(1), noise(2)), (noise(2), noise(1)))
    )
    assert abs(there.cosine - back.cosine) < 1e-6 < 0.01 < abs(there.score - back.score)
    assert np.allclose(there.heatmap_a, back.heatmap_b, atol=1e-6)


def test_the_same_picture_and_one_without_anything() -> None:
    embedder = embedder_of("tiny-layers")
    same = compared(embedder, noise(1), noise(1))
    assert abs(same.cosine - 1) < 1e-5 and np.allclose(same.heatmap_a, same.heatmap_b)
    nothing = replace(embedder.lens, adaptation=np.zeros((3, embedder.lens.features), np.float32))
    found = compared(Embedder(embedder.backbone, nothing), noise(1), noise(2))
    assert found.cosine == found.score == 0 and not found.heatmap_a.any()
    assert found.a.where == "nowhere" and found.image().size[1] > 100


# -- where it is -----------------------------------------------------------------


def patched(width: int, height: int, left: float, top: float, side: int = 24) -> Image.Image:
    """Grey, which the network doesn't see, with a pattern at that place."""
    image = Image.new("RGB", (width, height), (127, 127, 127))
    pattern = noise(3, side, side)
    image.paste(pattern, (round(left * width) - side // 2, round(top * height) - side // 2))
    return image


@pytest.mark.parametrize("method", ["sum", "mask"])
def test_heat_is_where_the_pictures_are_alike(method: str) -> None:
    found = compared(
        embedder_of("tiny-plain"), patched(192, 192, 0.2, 0.2), patched(96, 96, 0.8, 0.5), method
    )
    assert found.method == method
    assert (found.a.where, found.b.where) == ("upper left", "middle right")
    assert found.a.thirds[0, 0] > 0.7 and found.b.thirds[1, 2] > 0.7
    assert abs(found.a.thirds.sum() - 1) < 1e-6


@pytest.mark.parametrize("method", ["sum", "mask"])
@pytest.mark.parametrize(
    ("name", "left", "third", "box"),
    [
        ("tiny-plain", 0.1, 0, (0, 0, 600, 60)),
        ("tiny-plain", 0.9, 2, (0, 0, 600, 60)),
        ("tiny-crop", 0.51, 1, (273, 3, 327, 57)),
    ],
)
def test_very_wide_pictures(
    name: str, left: float, third: int, box: tuple[float, ...], method: str
) -> None:
    wide, other = patched(600, 60, left, 0.5, 40), patched(64, 64, 0.5, 0.5, 40)
    found = compared(embedder_of(name), wide, other, method)
    assert np.allclose(found.a.box, box)
    assert found.a.thirds[:, third].sum() > 0.9
    image = np.asarray(found.image(600).crop((0, 0, 600, 1000))).astype(int)
    columns = np.nonzero(np.ptp(image, axis=2) > 60)[1]  # what has a colour
    assert abs(columns.mean() / 600 - left) < 0.05
    assert columns.min() >= box[0] - 1 and columns.max() <= box[2] + 1


def test_pictures_are_upright(tmp_path: Path) -> None:
    embedder = embedder_of("tiny-plain")
    upright = patched(160, 96, 0.15, 0.2)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    plain, found = (compared(embedder, one, patched(64, 64, 0.5, 0.5)) for one in (upright, turned))
    assert found.a.where == plain.a.where == "upper left"
    assert found.a.box == (0, 0, 160, 96) and np.allclose(
        found.heatmap_a, plain.heatmap_a, atol=1e-4
    )


def test_a_view_of_the_middle_gives_heat_in_the_middle() -> None:
    """Two views of one square: the place of the same pattern is the same in both."""
    embedder = embedder_of("tiny-looks")
    width = embedder.lens.features // 2
    for part in (slice(0, width), slice(width, None)):
        only = np.zeros((width, 2 * width), np.float32)
        only[:, part] = np.eye(width)
        lens = replace(embedder.lens, adaptation=only)
        found = compared(Embedder(embedder.backbone, lens), noise(1), noise(2))
        outside = found.heatmap_a.copy()
        outside[7:21, 7:21] = 0
        assert outside.any() == (part.start == 0)
        assert found.heatmap_a[7:21, 7:21].any()


@given(st.integers(1, 60), st.floats(0, 0.5), st.floats(0.55, 1), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_spreading_loses_nothing(parts: int, start: float, end: float, cells: int) -> None:
    spread = overlaps(parts, start, end, cells)
    assert spread.shape == (cells, parts) and (spread >= 0).all()
    assert np.allclose(spread.sum(0), 1)
    middles = (np.arange(cells) + 0.5) / cells
    wanted = start + (np.arange(parts) + 0.5) / parts * (end - start)
    assert np.abs(middles @ spread - wanted).max() <= 0.5 / cells + 1e-9


# -- masks, and who needs them ---------------------------------------------------


class _Counting(Progress):
    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, what: str, total: int, unit: str = "pictures", done: int = 0) -> None:
        self.total = total

    def advance(self, count: int = 1, **figures: float) -> None:
        self.done += count


@pytest.mark.parametrize("batch", [1, 20, 64])
def test_masks_say_what_is_lost_without_each_cell(batch: int) -> None:
    embedder, progress = embedder_of("tiny", tiny.lens_with_csls()), _Counting()
    a, b = (from_image(noise(seed), embedder.backbone.spec.geometry) for seed in (1, 2))
    found = explain(
        embedder,
        Subject("a", a),
        Subject("b", b),
        settings=load_settings(batch_size=batch),
        progress=progress,
    )
    assert found.method == "mask" and progress.done == progress.total == 98
    vectors = embedder.embed(np.stack([a.pixels, b.pixels]))
    assert abs(found.cosine - vectors[0] @ vectors[1]) < 1e-6
    # By hand: paint a cell of the middle with the mean of a wide neighbourhood.
    hidden = a.pixels.copy()
    hidden[14:18, 14:18] = a.pixels[8:24, 8:24].mean((0, 1))
    lost = float(vectors[0] @ vectors[1] - embedder.embed(hidden[None])[0] @ vectors[1])
    assert found.heatmap_a.shape == (7, 7) and found.heatmap_a.std() > 0
    assert (
        np.sign(found.heatmap_a[3, 3]) == np.sign(lost)
        and abs(found.heatmap_a[3, 3] / lost - 1) < 0.6
    )


@pytest.mark.parametrize("batch", [10, 32])
def test_nothing_is_lost_where_blurring_changes_nothing(batch: int) -> None:
    """In 8 bits few pictures and many are computed by two runtimes, which differ a little: the
    whole picture is compared with what was computed beside it."""
    embedder = load_embedder("efficientnet_lite0_int8", load_settings(runtime="auto"), lens="none")
    grey = np.full((299, 299, 3), 100, np.uint8)
    other = embedder.embed(from_image(noise(1), embedder.backbone.spec.geometry).pixels[None])
    found = np.concatenate(list(losses(embedder, grey, other, batch)))
    assert found.shape == (49,) and np.abs(found).max() < 1e-6


def test_sums_need_places() -> None:
    for name, says in (("tiny", "does not say what it pools"), ("tiny-end", "end of tiny-end")):
        embedder = embedder_of(name)
        with pytest.raises(NoAttributionError, match=f"{says}.*mask"):
            compared(embedder, noise(1), noise(2), "sum")
        assert compared(embedder, noise(1), noise(2)).method == "mask"
    with pytest.raises(UsageError, match="'guess' is none of auto, sum, mask"):
        compared(embedder, noise(1), noise(2), "guess")


def test_activations_pool_to_the_features() -> None:
    embedder = embedder_of("tiny-looks")
    squares = np.stack([from_image(noise(s), Geometry(64, fit="squash")).pixels for s in (1, 2, 3)])
    found = activations_of(embedder.backbone, squares)
    assert np.allclose(found.features(), embedder.backbone.features(squares), atol=1e-5)


# -- what is shown ---------------------------------------------------------------


def test_it_is_drawn_side_by_side(tmp_path: Path) -> None:
    found = compared(
        embedder_of("tiny-plain"), patched(96, 96, 0.2, 0.2), patched(96, 48, 0.8, 0.5)
    )
    image = found.image(200)
    assert image.mode == "RGB" and image.size == (200 + 12 + 200, 200)
    assert image.getpixel((206, 100)) == image.getpixel((300, 10)) == (255, 255, 255)
    pixels = np.asarray(image).astype(int)
    rows, columns = np.nonzero(np.ptp(pixels, axis=2) > 60)
    left = columns < 200
    assert abs(columns[left].mean() - 40) < 8 and abs(rows[left].mean() - 40) < 8
    assert abs(columns[~left].mean() - 212 - 160) < 12 and abs(rows[~left].mean() - 100) < 8
    found.save(tmp_path / "why.JPG")
    found.save(tmp_path / "why.png")
    for name in ("why.JPG", "why.png"):
        with Image.open(tmp_path / name) as written:
            assert written.size == found.image().size
    with Image.open(io.BytesIO(found.encoded("JPEG"))) as written:
        assert written.format == "JPEG"


def test_on_the_whole_picture_also_what_is_cut_off() -> None:
    embedder = embedder_of("tiny-crop")
    picture = from_image(patched(600, 60, 0.5, 0.5), embedder.backbone.spec.geometry)
    white = np.full((8, 8, 3), 255, np.uint8)
    for whole, shade in ((None, 235), (white, 255)):
        subject = Subject("x", picture, whole)
        found = explain(embedder, subject, subject, settings=load_settings())
        assert found.image(600).getpixel((5, 30)) == (shade,) * 3


def test_facts_are_json(tmp_path: Path) -> None:
    import json

    found = compared(embedder_of("tiny-crop"), noise(1), noise(2))
    facts = json.loads(json.dumps(found.facts()))
    assert facts["cosine"] == pytest.approx(found.cosine, abs=1e-6)
    assert np.allclose(facts["a"]["heat"], found.heatmap_a, atol=1e-6)
    assert np.allclose(facts["b"]["thirds"], found.b.thirds, atol=1e-4)
    assert facts["a"]["box"] == [pytest.approx(edge, abs=0.01) for edge in found.a.box]
    assert (facts["a"]["width"], facts["a"]["height"]) == (40, 30)
    assert facts["a"]["where"] == found.a.where and facts["method"] == "sum"


def test_only_names_of_pictures_can_be_written(tmp_path: Path) -> None:
    found = compared(embedder_of("tiny-plain"), noise(1), noise(2))
    with pytest.raises(UsageError, match=r"why.gif: the name must end in one of .png"):
        found.save(tmp_path / "why.gif")
    from tll_index.core.errors import TllError

    with pytest.raises(TllError, match="can't be written: No such file"):
        found.save(tmp_path / "nowhere" / "why.png")
    assert isinstance(found.a.subject.picture, Picture)

"""A network in 8 bits: few pictures by ONNX Runtime, many by OpenVINO, and both agree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from conftest import TLL_ROOT
from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.core.contracts import Pixels
from tll_index.core.sealed import write_sealed
from tll_index.engine.backbones.backbone import Backbone
from tll_index.engine.backbones.bundled import graph_file
from tll_index.engine.backbones.cpu_runtime import MANY, CpuRuntime
from tll_index.engine.backbones.openvino_runtime import CHUNK
from tll_index.engine.backbones.registry import BEST, DEFAULT, IN_FLOAT, WITHOUT_FACES
from tll_index.engine.images.decode import Geometry, from_image
from tll_index.engine.lens.embedder import Embedder, load_lens

GEOMETRY = Geometry(size=299, fit="squash")
PLAIN = WITHOUT_FACES[DEFAULT]
"""The network in 8 bits, without faces."""


def crops(count: int) -> Pixels:
    """Parts of two photographs, of many sizes."""
    rng = np.random.default_rng(0)
    images = [Image.fromarray(load_sample_image(name)) for name in ("flower.jpg", "china.jpg")]
    found = []
    for number in range(count):
        image = images[number % 2]
        side = int(rng.integers(80, 400))
        left, top = (int(rng.integers(0, edge - side)) for edge in image.size)
        part = image.crop((left, top, left + side, top + side))
        found.append(from_image(part, GEOMETRY).pixels)
    return np.stack(found)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    return crops(MANY + CHUNK // 2)  # the last chunk is not full


@pytest.fixture(scope="module")
def by_onnx() -> Backbone:
    return load_backbone(PLAIN, settings=load_settings(runtime="onnx"))


@pytest.fixture(scope="module")
def by_openvino() -> Backbone:
    return load_backbone(PLAIN, settings=load_settings(runtime="openvino"))


def test_the_two_agree(pictures: Pixels, by_onnx: Backbone, by_openvino: Backbone) -> None:
    """Features to a cosine of 0.998, embeddings to 0.99: a store that one made can be searched
    by the other."""
    one, other = by_onnx.features(pictures), by_openvino.features(pictures)
    assert cosines(one, other).min() > 0.998
    lens = load_lens(PLAIN, None, load_settings())
    assert (lens.transform(one) * lens.transform(other)).sum(1).min() > 0.99
    found, wanted = Embedder(by_onnx, lens), Embedder(by_openvino, lens)
    scores = found.encode_query(pictures) @ wanted.encode_gallery(pictures).T
    assert (scores.argmax(1) == np.arange(len(pictures))).mean() > 0.9


def test_8_bits_are_near_to_float(pictures: Pixels, by_onnx: Backbone) -> None:
    in_float = load_backbone(IN_FLOAT, settings=load_settings(runtime="onnx"))
    assert cosines(by_onnx.features(pictures), in_float.features(pictures)).mean() > 0.99


def test_few_go_one_way_and_many_the_other(
    pictures: Pixels, by_onnx: Backbone, by_openvino: Backbone
) -> None:
    both = load_backbone(PLAIN, settings=load_settings(runtime="auto", device="cpu"))
    few, many = pictures[: MANY - 1], pictures[:MANY]
    assert (both.features(few) == by_onnx.features(few)).all()
    assert (both.features(many) == by_openvino.features(many)).all()
    assert (both.features(few) == by_onnx.features(few)).all()  # whatever came before
    assert both.features(pictures[:0]).shape == (0, both.spec.dimension)


def test_a_picture_is_what_it_is_in_any_batch(pictures: Pixels, by_openvino: Backbone) -> None:
    """Chunks are filled up with nothing, and rows come back in order."""
    whole = by_openvino.features(pictures)
    for count in (1, CHUNK - 1, CHUNK + 1):
        assert (by_openvino.features(pictures[:count]) == whole[:count]).all()
    assert (by_openvino.features(pictures[::-1]) == whole[::-1]).all()


def test_threads_get_their_own(pictures: Pixels, by_openvino: Backbone) -> None:
    """As of a server: who comes meanwhile waits, and nobody sees another's features."""
    whole = by_openvino.features(pictures)
    with ThreadPoolExecutor(8) as threads:
        parts = [slice(at, at + 5) for at in range(0, len(pictures) - 5)] * 2
        found = list(threads.map(lambda part: by_openvino.features(pictures[part]), parts))
    for part, some in zip(parts, found, strict=True):
        assert (some == whole[part]).all()


def test_the_prepared_network_is_kept(pictures: Pixels, by_openvino: Backbone, home: Path) -> None:
    """Once for each kind of processor; torn or from elsewhere, it is made again."""
    settings = load_settings(runtime="openvino", device="cpu")
    folder = home / "cache/networks"

    def again() -> bytes:
        found = load_backbone(PLAIN, settings=settings).features(pictures)
        assert (found == by_openvino.features(pictures)).all()
        (file,) = folder.glob("openvino-*.blob")
        return file.read_bytes()

    first = again()
    assert again() == first
    (file,) = folder.glob("openvino-*.blob")
    for torn in (first[:-1], b"", first[: len(first) // 2]):
        file.write_bytes(torn)
        again()
    write_sealed(file, b"no network")  # whole, but nothing that OpenVINO knows
    again()
    shutil.rmtree(home / "cache")
    (home / "cache").write_text("a file")
    assert len(load_backbone(PLAIN, settings=settings).features(pictures[:1])) == 1


def test_without_openvino_all_go_the_first_way(
    pictures: Pixels, by_onnx: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tll_index.engine.backbones.cpu_runtime.has_openvino", lambda: False)
    alone = CpuRuntime(graph_file("efficientnet_lite0_int8.onnx"))
    assert (alone.run(pictures) == by_onnx.features(pictures)).all()


SAVE = """
import sys, numpy as np
from tll_index import load_backbone
from tll_index.core.config import load_settings

pixels = np.load(sys.argv[1])
settings = load_settings(runtime=sys.argv[3])
np.save(sys.argv[2], load_backbone(sys.argv[4], settings=settings).features(pixels))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [DEFAULT, BEST])
@pytest.mark.parametrize(
    ("runtime", "switch"),
    [
        ("openvino", {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}),
        ("openvino", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "DNNL_MAX_CPU_ISA": "AVX512_CORE"}),
    ],
)
def test_a_lesser_processor_computes_the_same(
    pictures: Pixels, tmp_path: Path, name: str, runtime: str, switch: dict[str, str]
) -> None:
    """Without VNNI, products are added in 16 bits, which hold them."""
    np.save(tmp_path / "pixels.npy", pictures)
    subprocess.run(
        [sys.executable, "-c", SAVE, tmp_path / "pixels.npy", tmp_path / "out.npy", runtime, name],
        env={**os.environ, **switch},
        check=True,
    )
    here = load_backbone(name, settings=load_settings(runtime=runtime))
    found, wanted = np.load(tmp_path / "out.npy"), here.features(pictures)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()  # here: not a bit differs


def test_openvino_loads_nothing_that_reports(tmp_path: Path) -> None:
    """Its wheel asks for a package that reports to its makers, and would use it as soon as it is
    imported. Here one of that name stands in; afterwards it can be had again."""
    (tmp_path / "openvino_telemetry").mkdir()
    (tmp_path / "openvino_telemetry/__init__.py").write_text("print('reported')")
    (tmp_path / "openvino_telemetry/backend.py").write_text("backend_ga4 = None")
    code = (
        "import sys, numpy as np\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tll_index import load_backbone\n"
        "from tll_index.core.config import load_settings\n"
        "backbone = load_backbone(settings=load_settings(runtime='openvino'))\n"
        "backbone.features(np.zeros((1, 299, 299, 3), np.uint8))\n"
        "print([name for name in sys.modules if 'telemetry' in name or 'ovc' in name])\n"
        "import openvino_telemetry"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\nreported\n"


@pytest.mark.skipif(not TLL_ROOT.is_dir(), reason=f"no pictures in {TLL_ROOT}: set TLL_ROOT")
@pytest.mark.slow
def test_whole_pairs_are_found_alike(by_onnx: Backbone, by_openvino: Backbone) -> None:
    """Of 100 real pairs, a gallery by OpenVINO ranks the same right pictures for queries by ONNX
    Runtime as for its own."""
    from tll_index.engine.evaluation.tll import read_pairs
    from tll_index.engine.images.decode import decode

    pairs = read_pairs(TLL_ROOT)
    left, right = (
        np.stack([decode(path.read_bytes(), GEOMETRY).pixels for path in paths[:100]])
        for paths in (pairs.left, pairs.right)
    )
    lens = load_lens(PLAIN, None, load_settings())
    gallery = lens.encode_gallery(by_openvino.features(right))
    ranks = [
        (
            lens.encode_query(backbone.features(left)) @ gallery.T
            > (lens.encode_query(backbone.features(left)) * gallery).sum(1)[:, None]
        ).sum(1)
        for backbone in (by_onnx, by_openvino)
    ]
    hits = [(rank < 10).mean() for rank in ranks]
    assert abs(hits[0] - hits[1]) <= 0.03
    assert np.median(np.abs(ranks[0] - ranks[1])) <= 1

"""Why two pictures look alike: whatever they are called, with a store and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import tiny_layers
from pictures import encoded, fill_folder, noise
from tiny import lens_with_csls
from tll_index import Explanation, Recipe, Store, build, why
from tll_index.core.config import load_settings
from tll_index.core.errors import MissingPictureError, NotAPictureError, UsageError
from tll_index.engine.backbones.registry import spec_of
from tll_index.engine.images.batches import batch_of
from tll_index.engine.images.decode import decode
from tll_index.engine.lens.embedder import choose_bundled, load_embedder

pytestmark = pytest.mark.usefixtures("one_thread", "by_torch")


@pytest.fixture(autouse=True)
def rows(home: Path) -> None:
    tiny_layers.install(home / "weights")


def test_a_picture_by_whatever_name(here: Path) -> None:
    path, other = fill_folder(here, 2)
    image = noise(0)
    decoded = decode(encoded(image, "PNG"), tiny_layers.SPEC.geometry)
    wanted = why(path, other, backbone="tiny-layers")
    assert wanted.a.subject.name == str(path) and wanted.method == "sum"
    for source in (str(path), path.read_bytes(), image, np.asarray(image), decoded):
        found = why(source, other, backbone="tiny-layers")
        assert isinstance(found, Explanation) and np.allclose(
            found.heatmap_a, wanted.heatmap_a, atol=1e-6
        )
        assert found.a.subject.name in ("-", str(path))
        assert found.image().size == wanted.image().size


def test_a_stores_own_backbone_and_lens(here: Path) -> None:
    paths = fill_folder(here / "photos", 3)
    build(["photos"], recipe=Recipe("tiny", lens=lens_with_csls()))
    with Store.open() as store:
        hit = store.query(paths[0], k=1)[0]
        found = why(paths[0], hit.path, store=store)
        assert found.backbone == "tiny" and found.score == pytest.approx(hit.score, abs=1e-5)
        assert found.cosine - found.score > 0.01  # what is lost to hubs
        indexed = store.encode_indexed(hit.sha256)
        assert found.cosine == pytest.approx(
            (indexed.vector @ store.encode_query(paths[0]).vector.T).item(), abs=1e-5
        )
    assert why(paths[0], hit.path, store=here / ".tll-index").score == found.score
    assert why(paths[0], hit.path, store=store).score == found.score  # though it is closed


def test_what_can_not_be_compared(here: Path) -> None:
    path, other = fill_folder(here / "photos", 2)
    build(["photos"], recipe=Recipe("tiny", lens="none"))
    with pytest.raises(UsageError, match="name those, or a store"):
        why(path, other, store=".tll-index", lens="none")
    with pytest.raises(MissingPictureError, match=r"absent\.png"):
        why("absent.png", other, backbone="tiny")
    with pytest.raises(NotAPictureError):
        why(path, b"no picture", backbone="tiny")
    with pytest.raises(UsageError, match="must have 64 x 64 pixels"):
        why(decode(path.read_bytes(), spec_of("tiny").geometry), other, backbone="tiny-layers")


@pytest.mark.parametrize("lens", [None, "none"])
@pytest.mark.parametrize(
    ("backbone", "runtime"),
    [
        ("efficientnet_lite0", "auto"),
        ("efficientnet_lite0", "openvino"),
        (None, "torch"),
        (None, "auto"),
    ],
)
def test_bundled_backbones(backbone: str | None, runtime: str, lens: str | None) -> None:
    """Without a store: the shipped lens, which holds hubs back; and the sum is the whole cosine."""
    flower, china = (
        Image.fromarray(load_sample_image(f"{one}.jpg")) for one in ("flower", "china")
    )
    settings = load_settings(runtime=runtime)
    found = why(flower, china, backbone=backbone, lens=lens, settings=settings)
    embedder = load_embedder(backbone or choose_bundled(settings).backbone, settings, lens=lens)
    batch = batch_of([side.subject.picture for side in (found.a, found.b)])
    vectors = embedder.embed(*batch)
    cosine = float(embedder.lens.compared(vectors[:1])[0] @ vectors[1])
    assert found.method == "sum" and found.cosine == pytest.approx(cosine, abs=1e-5)
    for heatmap in (found.heatmap_a, found.heatmap_b):
        assert heatmap.sum(dtype=np.float64) == pytest.approx(cosine, abs=1e-5)
    queries, gallery = embedder.encode_query(*batch), embedder.encode_gallery(*batch)
    score = float(queries[0] @ gallery[1])
    assert found.score == pytest.approx(score * embedder.lens.scale, abs=1e-5)
    assert (found.cosine - found.score > 0.01) == (lens is None)

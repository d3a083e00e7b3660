"""The rows of the registry as a user meets them: listed, missing, described in docs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.core.errors import WeightsError
from tll_index.engine.backbones.registry import (
    BEST,
    DEFAULT,
    IN_FLOAT,
    ROWS,
    WITHOUT_FACES,
    BackboneSpec,
    Pool,
    View,
    quality_of,
    spec_of,
)
from tll_index.engine.backbones.weights import WEIGHTS_SUFFIXES, locate
from tll_index.engine.faces.networks import DETECTION, LANDMARKS, RECOGNITION, RECOGNITION_WIDTH
from tll_index.engine.lens.listing import listing

FETCHED = [spec for spec in ROWS if not spec.graph]
PAGE = Path(__file__).resolve().parents[3] / "docs/backbones.md"
TABLE_2 = (
    "clip_rn50x4",
    "clip_rn101",
    "clip_vit_b32",
    "resnext101_32x48d_wsl",
    "barlow_twins",
    "dino_resnet50",
    "resnet50",
    "vit_b16",
    "facenet",
)
"""The paper's backbones, best first."""


def test_the_default_then_clip_then_the_others() -> None:
    names = [row["name"] for row in listing(load_settings())]
    assert (
        names[: len(ROWS)]
        == [spec.name for spec in ROWS]
        == [
            DEFAULT,
            WITHOUT_FACES[DEFAULT],
            IN_FLOAT,
            BEST,
            WITHOUT_FACES[BEST],
            *TABLE_2,
            "vgg16",
        ]
    )


@pytest.mark.parametrize("spec", FETCHED, ids=lambda spec: spec.name)
def test_missing_weights_are_one_line_that_says_what_to_do(spec: BackboneSpec, home: Path) -> None:
    with pytest.raises(WeightsError) as error:
        load_backbone(spec.name)
    message = str(error.value)
    assert message.startswith(f"the weights of {spec.name} are not here; run 'tll-index backbones ")
    assert f"backbones fetch {spec.name}' ({spec.megabytes} MB from " in message
    assert "\n" not in message and "the folder TLL_WEIGHTS_DIR" in message
    assert f" from {spec.hub_repo or spec.url})" in message
    told = spec.name + Path(spec.hub_file or spec.url or "").suffix
    assert told in re.split(r"\s", message)
    row = next(row for row in listing(load_settings()) if row["name"] == spec.name)
    assert row["weights"] is None and message.endswith(row["how_to_get"])
    (home / "weights" / told).touch()  # a file of the name that the message says is found
    row = next(row for row in listing(load_settings()) if row["name"] == spec.name)
    assert row["weights"] == str(home / "weights" / told) and row["how_to_get"] is None


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_rows_are_complete(spec: BackboneSpec) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", spec.name)
    assert spec.licence and spec.paper and spec.title and spec.weights_tag
    # One place to get them, and a file of a kind that is read.
    assert sum(map(bool, (spec.graph, spec.hub_repo, spec.url))) == 1
    for one in spec.networks or (spec,):
        file = one.package_file or one.hub_file or one.url
        assert file and file.endswith(WEIGHTS_SUFFIXES)
        assert bool(spec.graph) == bool(spec.graph_sha256) == bool(one.package)
    assert len(list(spec.blocks())) and sum(spec.blocks()) == spec.whole_dimension
    if spec.url:
        assert spec.url.startswith("https://")
        in_name = re.search(r"-([0-9a-f]{8})\.pth$", spec.url)  # torch's habit
        assert spec.sha256 == (in_name[1] if in_name else None)


def test_recipes_that_lenses_and_stores_are_bound_to() -> None:
    """Of rows that were published: another digest makes their lenses and stores useless."""
    published = [spec for spec in ROWS if spec.name not in WITHOUT_FACES][:6]
    assert {spec.name: spec.layout[:16] for spec in published} == {
        "efficientnet_lite0_int8": "c9064e9c97de3664",
        "efficientnet_lite0": "1805bfae97ea6aaf",
        "efficientnet_lite01_int8": "31490a7cf3f35f40",
        "clip_rn50x4": "f163314da671feb1",
        "clip_rn101": "6e1856b2bb464622",
        "clip_vit_b32": "cd8d8b95c9a79ec7",
    }
    spec = spec_of("vit_b16")
    assert spec.recipe()["layers"][-1] == ["norm", 768, ["class 1"]]
    assert spec.recipe()["preprocessing"]["interpolation"] == "bicubic"
    other = replace(spec, geometry=replace(spec.geometry, interpolation="bilinear"))
    assert other.layout != spec.layout
    with pytest.raises(ValueError, match="no position"):
        Pool("class", grid=2)


def test_the_first_digits_of_a_digest_are_enough(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A published file, here of the hub's own cache, is held against as much of its digest as is
    published."""
    data = b"weights"
    digest = hashlib.sha256(data).hexdigest()
    cached = tmp_path / "models--some--repo"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text("1" * 40)
    (cached / "snapshots" / ("1" * 40)).mkdir(parents=True)
    (cached / "snapshots" / ("1" * 40) / "model.pth").write_bytes(data)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    spec = replace(spec_of("resnet50"), hub_repo="some/repo", hub_file="model.pth")
    assert locate(replace(spec, sha256=digest[:8]), home / "weights").sha256 == digest
    with pytest.raises(WeightsError, match="not the published weights file"):
        locate(replace(spec, sha256="0" + digest[1:8]), home / "weights")


def test_old_stores_find_what_made_them() -> None:
    """Stores of versions before this one name the weights file that the network is made of."""
    spec = spec_of(IN_FLOAT)
    assert spec.sha256 and spec.sha256.startswith("57934424")
    assert spec.layout == ("1805bfae97ea6aafba7d53a701924e9ed6061b4143fbc9904393b96b1cf908b7")


def test_the_documented_table_is_the_registry() -> None:
    rows = {
        cells[0].strip("`"): cells[1:]
        for line in PAGE.read_text().splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
        and cells[0].startswith("`")
    }
    assert list(rows) == [spec.name for spec in ROWS]
    for spec in ROWS:
        weights, features, licence, how = rows[spec.name]
        assert weights.startswith(f"{spec.megabytes:,} MB"), spec.name
        assert features == f"{spec.dimension:,}", spec.name
        assert licence == spec.licence, spec.name
        assert ("fetch" in how) == (spec.graph is None), spec.name


def test_face_networks_are_those_that_come_along() -> None:
    faces = spec_of(DEFAULT).faces
    assert faces is not None
    files = (DETECTION, LANDMARKS, RECOGNITION)
    assert faces.sha256 == tuple(hashlib.sha256(one.read_bytes()).hexdigest() for one in files)
    assert faces.values == RECOGNITION_WIDTH


@pytest.mark.parametrize(("name", "without"), WITHOUT_FACES.items())
def test_a_backbone_without_faces_differs_in_nothing_else(name: str, without: str) -> None:
    one, other = spec_of(name), spec_of(without)
    assert one.faces is not None and other.faces is None
    assert one.whole_dimension == other.dimension == one.dimension - one.faces.values - 1
    ours, theirs = one.recipe(), other.recipe()
    assert ours.pop("faces") == one.faces.recipe()
    assert ours["preprocessing"].pop("faces") == one.geometry.faces > 0
    assert ours == theirs
    assert one.layout != other.layout and one.graph_sha256 == other.graph_sha256


def test_several_networks_are_one_row() -> None:
    """Their features follow each other; what a store is bound to names each of them."""
    spec = spec_of(WITHOUT_FACES[BEST])
    first, *others = spec.networks
    assert [one.dimension for one in spec.networks] == [26_736, 26_736]
    assert spec.dimension == sum(one.dimension for one in spec.networks)
    pooled = list(spec.pooled())
    assert pooled[: len(list(first.pooled()))] == list(first.pooled())
    assert pooled[-1] == (others[-1].views[-1], others[-1].layers[-1])
    assert [one["architecture"] for one in spec.recipe()["networks"]] == [
        one.architecture for one in spec.networks
    ]
    assert "networks" not in first.recipe()
    assert replace(spec, networks=(*others, first)).layout != spec.layout
    with pytest.raises(ValueError, match="its networks have layers and views"):
        replace(spec, views=(View(224),))


def test_the_qualities_are_bundled() -> None:
    assert [quality_of(name) for name in (DEFAULT, BEST, IN_FLOAT)] == ["default", "best", ""]
    assert all(spec_of(name).precision == "int8" for name in (DEFAULT, BEST))

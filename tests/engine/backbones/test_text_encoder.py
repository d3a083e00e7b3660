"""Texts and pictures in one space: as open_clip's own code puts them there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import (
    CONTEXT,
    JOINT,
    NAMES,
    RESNET,
    VIT,
    install,
    pixels_for,
    random_network,
    write_weights,
)
from tll_index.core.config import Settings
from tll_index.core.errors import UsageError, WeightsError
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.registry import ROWS, spec_of
from tll_index.engine.backbones.spec import View
from tll_index.engine.backbones.text_encoder import (
    TextEncoder,
    choose_text_backbone,
    load_text_encoder,
    require_text_space,
)
from tll_index.engine.backbones.weights import Weights, digest
from tll_index.engine.lens.embedder import Embedder, load_embedder

TEXTS = ["a red door", "Two CATS,  asleep", "Tür & façade", "x", "🦊 in snow"]


@pytest.fixture(scope="module", autouse=True)
def small_architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    install(tmp_path_factory.mktemp("configs"))


def encoder_of(name: str, folder: Path) -> TextEncoder:
    path = write_weights(random_network(name), folder / f"{name}.safetensors")
    return load_text_encoder(spec_of(name), Weights(path, digest(path)))


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_where_open_clip_puts_them(name: str, tmp_path: Path) -> None:
    found = encoder_of(name, tmp_path).vectors(TEXTS)
    assert found.shape == (len(TEXTS), JOINT) and found.dtype == np.float32
    tokens = open_clip.get_tokenizer(name)(TEXTS)
    with torch.inference_mode():
        wanted = random_network(name).encode_text(tokens, normalize=True).numpy()
    assert np.allclose(found, wanted, atol=1e-6)
    assert np.abs(found @ found.T - np.eye(len(TEXTS))).max() > 0.01  # and no two alike
    assert len(np.unique(found.round(4), axis=0)) == len(TEXTS)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_where_open_clip_puts_them(name: str, runtime: str, home: Path) -> None:
    network = random_network(name)
    write_weights(network, home / "weights" / f"{name}.safetensors")
    embedder = load_embedder(name, replace(loaded(home), runtime=runtime), lens="none")
    pixels = pixels_for(name)
    gallery, text_rows = embedder.encode_gallery_with_text(pixels)
    assert (gallery == embedder.encode_gallery(pixels)).all()
    with torch.inference_mode():
        batch = torch.from_numpy(normalised(pixels, embedder.backbone.spec))
        wanted = network.encode_image(batch, normalize=True).numpy()
    assert text_rows.dtype == np.float32 and np.allclose(text_rows, wanted, atol=2e-4)
    embeddings, again = embedder.embed_with_text(pixels)
    assert (embeddings == embedder.embed(pixels)).all() and (again == text_rows).all()


def loaded(home: Path) -> Settings:
    return Settings(weights_dir=home / "weights", cache_dir=home / "cache")


def test_a_lens_without_colours_leaves_them_to_texts(home: Path) -> None:
    write_weights(random_network(VIT), home / "weights" / f"{VIT}.safetensors")
    plain = load_embedder(VIT, loaded(home), lens="none")
    grey = Embedder(plain.backbone, replace(plain.lens, grey=True))
    pixels = pixels_for(VIT)
    embeddings, texts = grey.embed_with_text(pixels)
    assert (texts == plain.embed_with_text(pixels)[1]).all()
    assert np.abs(embeddings - plain.embed(pixels)).max() > 1e-3


def test_what_is_no_text_to_search_with(tmp_path: Path) -> None:
    encoder = encoder_of(VIT, tmp_path)
    for text in ("", " \n\t"):
        with pytest.raises(UsageError, match="is empty"):
            encoder.vectors(["a red door", text])
    with pytest.raises(UsageError, match="not UTF-8"):
        encoder.vectors(["\udcff"])
    long = " ".join(["door"] * (CONTEXT - 2))
    assert encoder.vectors([long]).shape == (1, JOINT)
    with pytest.raises(UsageError, match=f"reads {CONTEXT - 2} tokens .* has {CONTEXT - 1}: short"):
        encoder.vectors([f"{long} door"])


def test_any_text_is_answered_or_refused(tmp_path: Path) -> None:
    encoder = encoder_of(VIT, tmp_path)

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=30))
    def check(text: str) -> None:
        try:
            (vector,) = encoder.vectors([text])
        except UsageError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    check()


def test_rows_with_a_text_encoder() -> None:
    """The joint part is what the network puts out last; others have none."""
    clips = {"clip_rn50x4": 640, "clip_rn101": 512, "clip_vit_b32": 512}
    for spec in (*ROWS, *map(spec_of, NAMES)):
        wanted = clips.get(spec.name, JOINT if spec.name in NAMES else None)
        assert spec.joint_dimension == wanted
        if wanted is None:
            assert spec.joint is None
            with pytest.raises(
                UsageError, match=r"can't read texts.*--text --backbone clip_rn50x4"
            ):
                require_text_space(spec)
        else:
            assert len(range(spec.dimension)[spec.joint]) == wanted
            assert range(spec.dimension)[spec.joint][-1] == spec.dimension - 1
    with pytest.raises(ValueError, match="one for each view"):
        replace(spec_of(RESNET), views=(View(64), View(32)))


def test_which_backbone_with_a_text_encoder_is_here(home: Path) -> None:
    with pytest.raises(UsageError, match=r"clip_rn50x4.*backbones fetch clip_rn50x4"):
        choose_text_backbone(loaded(home))
    write_weights(random_network(VIT), home / "weights" / f"{VIT}.safetensors")
    assert choose_text_backbone(loaded(home)) == VIT


def test_weights_without_texts_give_no_text_encoder(tmp_path: Path) -> None:
    network = random_network(VIT)
    state = {key: value for key, value in network.state_dict().items() if "visual." in key}
    path = tmp_path / "half.pt"
    torch.save(state, path)
    with pytest.raises(WeightsError, match="another architecture"):
        load_text_encoder(spec_of(VIT), Weights(path, digest(path)))

"""The lens: what it computes, and its file."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import lookalikes
from tiny import SPEC
from tll_index.core.config import load_settings
from tll_index.core.contracts import Features
from tll_index.core.errors import LensError, UsageError
from tll_index.engine.backbones.backbone import load_backbone
from tll_index.engine.backbones.registry import Layer, Pool, spec_of
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.embedder import load_embedder
from tll_index.engine.lens.lens import Lens, find_lens
from tll_index.engine.lens.trainer import train_lens
from tll_index.engine.search.normalize import unit


def made(
    seed: int = 0, relu: bool = True, pca: int = 8, out: int = 12, csls: bool = False, **rest: Any
) -> Lens:
    random = np.random.default_rng(seed)
    lens = Lens(
        backbone="tiny",
        features=16,
        mean=random.normal(size=16).astype(np.float32),
        components=random.normal(size=(pca, 16)).astype(np.float32),
        adaptation=random.normal(size=(out, pca)).astype(np.float32),
        relu=relu,
        **{"provenance": {"seed": seed}, **rest},
    )
    if not csls:
        return lens
    bank = unit(random.normal(size=(20, out)).astype(np.float32))
    return lens.with_csls(HubnessCorrection(bank, 3, 0.7))


def drawn(count: int, seed: int = 1) -> Features:
    return np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)


def reloaded(lens: Lens, path: Path) -> Lens:
    lens.save(path)
    return Lens.load(path)


def test_it_is_pca_then_adaptation_then_norm() -> None:
    lens = made()
    features = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
    by_hand = np.maximum((features - lens.mean) @ lens.components.T @ lens.adaptation.T, 0)
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    assert np.allclose(lens.transform(features), by_hand, atol=1e-6)
    assert lens.dimension == 12 and lens.trained


def test_plain_is_only_the_norm() -> None:
    lens = Lens.plain(SPEC)
    features = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
    assert not lens.trained and lens.dimension == 16
    assert np.allclose(
        lens.transform(features), features / np.linalg.norm(features, axis=1)[:, None]
    )
    assert np.allclose(lens.transform(features * 7), lens.transform(features), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), rows=st.integers(0, 9), scale=st.floats(1e-3, 1e3))
def test_vectors_have_unit_length(seed: int, rows: int, scale: float) -> None:
    features = np.random.default_rng(seed + 1000).normal(size=(rows, 16)) * scale
    vectors = made(seed, relu=False).transform(features.astype(np.float32))
    assert vectors.dtype == np.float32 and vectors.shape == (rows, 12)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_zeros_stay_zeros() -> None:
    assert not np.isnan(unit(np.zeros((2, 3), np.float32))).any()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    relu=st.booleans(),
    without=st.sampled_from(["", "pca", "map"]),
    csls=st.booleans(),
    grey=st.booleans(),
    compact=st.booleans(),
)
def test_save_load_save_gives_the_same_bytes(
    seed: int, relu: bool, without: str, csls: bool, grey: bool, compact: bool
) -> None:
    lens = made(seed, relu, csls=csls, grey=grey, layout="abc" if grey else "")
    if without == "pca":
        lens = replace(lens, mean=None, components=None, adaptation=drawn(12, seed))
    elif without == "map":
        shorter = csls and HubnessCorrection(unit(drawn(20, seed)[:, :8]), 3, 0.7)
        lens = replace(lens, adaptation=None, csls=shorter or None)
    if compact:
        lens = lens.compact()
    with TemporaryDirectory() as folder:
        first, second = Path(folder, "first.npz"), Path(folder, "second.npz")
        loaded = reloaded(lens, first)
        loaded.save(second)
        assert first.read_bytes() == second.read_bytes()
    assert loaded.digest == lens.digest
    for name in ("backbone", "features", "layout", "relu", "grey", "provenance", "dimension"):
        assert getattr(loaded, name) == getattr(lens, name)
    assert loaded.scale == lens.scale
    features = drawn(3, seed + 1000)
    assert (loaded.encode_query(features) == lens.encode_query(features)).all()
    assert (loaded.encode_gallery(features) == lens.encode_gallery(features)).all()


def test_a_file_of_format_1_is_read(tmp_path: Path) -> None:
    """As 0.1 wrote it: no hubness correction, nothing about grey or layout."""
    new = made(3)
    header = {
        "format": 1,
        "backbone": "tiny",
        "features": 16,
        "relu": True,
        "provenance": {"seed": 3},
    }
    arrays = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "mean": new.mean,
        "components": new.components,
        "adaptation": new.adaptation,
    }
    with zipfile.ZipFile(tmp_path / "old.npz", "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(f"{name}.npy", member.getvalue())
    old = Lens.load(tmp_path / "old.npz")
    assert old.digest == new.digest and old.provenance == {"seed": 3}
    assert (old.csls, old.grey, old.layout, old.scale) == (None, False, "", 1)
    assert (old.encode_gallery(drawn(4)) == new.encode_gallery(drawn(4))).all()
    old.check(SPEC, "of any weights")


def test_pictures_ask_and_answer_alike_without_hubs() -> None:
    lens, features = made(), drawn(5)
    assert (lens.encode_query(features) == lens.encode_gallery(features)).all()
    assert (lens.encode_query(features) == lens.transform(features)).all()
    assert lens.scale == 1 and lens.dimension == 12


def test_a_hub_penalty_takes_two_dimensions() -> None:
    lens, features = made(csls=True), drawn(5)
    assert lens.csls is not None and lens.trained and lens.dimension == 14
    assert Lens.plain(SPEC).with_csls(HubnessCorrection(unit(drawn(3)), 1, 0.5)).dimension == 18
    queries, gallery = lens.encode_query(features), lens.encode_gallery(features)
    assert queries.shape == gallery.shape == (5, 14)
    cosines = lens.transform(features) @ lens.transform(features).T
    by_hand = cosines - 0.7 * lens.csls.crowding(lens.transform(features))
    assert np.allclose(lens.scale * queries @ gallery.T, by_hand, atol=1e-5)
    with pytest.raises(LensError, match=r"bank is \(20, 12\), expected \(b, 8\)"):
        replace(lens, adaptation=None)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    relu=st.booleans(),
    csls=st.booleans(),
    sizes=st.sampled_from([(8, 12), (8, 4), (8, 8)]),
    larger=st.sampled_from([1e-6, 1.0, 1e5]),
)
@example(seed=50, relu=True, csls=True, sizes=(8, 4), larger=1e-6)
def test_compact_changes_next_to_nothing(
    seed: int, relu: bool, csls: bool, sizes: tuple[int, int], larger: float
) -> None:
    pca, out = sizes
    lens = made(seed, relu, pca, out, csls)
    size = np.float32(larger)  # changes no direction
    lens = replace(lens, components=lens.components * size, adaptation=lens.adaptation * size)
    compact, features = lens.compact(), drawn(20, seed + 1000)
    assert (compact.components is None) == (out < pca)
    for ours, theirs in (
        (compact.encode_gallery(features), lens.encode_gallery(features)),
        (compact.encode_query(features), lens.encode_query(features)),
    ):
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)  # 0 after relu
        kept = (ours * theirs).sum(axis=1) >= 0.999 * lengths
        # ReLU may leave next to nothing of a row, which then turns, or is gone.
        assert kept.mean() >= (0.9 if relu else 1)
    assert compact.compact().digest == compact.digest != lens.digest
    assert (compact.dimension, compact.relu, compact.provenance) == (
        lens.dimension, relu, lens.provenance
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        assert reloaded(compact, Path(folder, "lens.npz")).digest == compact.digest


def test_compact_takes_half_the_room(tmp_path: Path) -> None:
    lens = Lens("tiny", 400, adaptation=np.random.default_rng(0).random((200, 400), np.float32))
    lens = lens.with_csls(HubnessCorrection(unit(lens.adaptation[:, :200]), 3, 0.5))
    lens.save(tmp_path / "full.npz")
    lens.compact().save(tmp_path / "half.npz")
    with np.load(tmp_path / "half.npz") as archive:
        assert archive["adaptation"].dtype == archive["bank"].dtype == np.float16
    full, half = ((tmp_path / name).stat().st_size for name in ("full.npz", "half.npz"))
    assert full > 4 * 120_000 and half == pytest.approx(full / 2, rel=0.01)


@pytest.mark.filterwarnings("error")
def test_values_beyond_half_precision_stay(tmp_path: Path) -> None:
    lens = replace(made(), mean=np.full(16, 1e6, np.float32))
    assert (lens.compact().mean == 1e6).all()
    assert reloaded(lens.compact(), tmp_path / "lens.npz").digest == lens.compact().digest


def test_digest_is_of_what_it_computes() -> None:
    assert made(0).digest == made(0).digest
    different = [
        made(0),
        made(1),
        made(0, relu=False),
        made(0, grey=True),
        made(0, csls=True),
        made(0).with_csls(HubnessCorrection(unit(drawn(20)[:, :12]), 3, 0.7)),
        made(0).with_csls(HubnessCorrection(unit(drawn(20)[:, :12]), 4, 0.7)),
        made(0).with_csls(HubnessCorrection(unit(drawn(20)[:, :12]), 3, 0.8)),
    ]
    assert len({lens.digest for lens in different}) == len(different)
    assert made(0, provenance={}).digest == made(0).digest


class Explosive:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("/tmp/lens-was-executed").write_text, ("boom",))


def test_hostile_and_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.npz"
    with pytest.raises(LensError, match="no lens file"):
        Lens.load(path)
    made().save(path)
    whole = path.read_bytes()
    for broken in (b"", b"not a zip", whole[: len(whole) // 2], whole[:-10]):
        path.write_bytes(broken)
        with pytest.raises(LensError, match="damaged"):
            Lens.load(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(LensError, match="damaged"):  # zip members carry a checksum
        Lens.load(path)
    np.savez(path, header=np.array([Explosive()], dtype=object))
    with pytest.raises(LensError):
        Lens.load(path)
    path.write_bytes(pickle.dumps(Explosive()))
    with pytest.raises(LensError):
        Lens.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY\x09\x09")
    with pytest.raises(LensError):
        Lens.load(path)
    assert not Path("/tmp/lens-was-executed").exists()


@pytest.mark.parametrize(
    "arrays",
    [
        {"mean": np.zeros(5, np.float32)},
        {"components": np.zeros((4, 15), np.float32)},
        {"components": np.zeros((4, 16), np.float64)},
        {"components": np.zeros((4, 16), np.float32), "adaptation": np.zeros((2, 5), np.float32)},
        {"adaptation": np.full((2, 16), np.nan, np.float32)},
        {"adaptation": np.zeros((0, 16), np.float32)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(LensError, match="lens: "):
        Lens("tiny", 16, **arrays)


def test_newer_format_and_other_backbone_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.npz"
    with monkeypatch.context() as patched:
        patched.setattr("tll_index.engine.lens.lens.EARLIER_FORMAT", 4)
        made().save(path)
    with pytest.raises(LensError, match="upgrade tll-index"):
        Lens.load(path)
    with pytest.raises(LensError, match="trained for tiny"):
        made().check(spec_of("clip_rn50x4"))


def test_other_features_and_other_weights_are_refused() -> None:
    made(layout=SPEC.layout).check(SPEC)
    for other in (
        replace(SPEC, layers=(Layer("conv", 4, (Pool(grid=2),)),)),
        replace(SPEC, geometry=replace(SPEC.geometry, fit="crop")),
        replace(SPEC, mean=(0.4, 0.5, 0.5)),
    ):
        assert other.dimension == 16
        made().check(other)  # an old one doesn't say
        with pytest.raises(LensError, match="other layers or preprocessing"):
            made(layout=SPEC.layout).check(other)
    lens = made(provenance={"weights_sha256": "a" * 64})
    lens.check(SPEC)
    lens.check(SPEC, "a" * 64)
    with pytest.raises(
        LensError, match=r"other weights of tiny \(aaaaaaaaaaaa…, now bbbbbbbbbbbb…"
    ):
        lens.check(SPEC, "b" * 64)


def test_an_embedder_checks_its_lens() -> None:
    other = made(provenance={"weights_sha256": "a" * 64})
    with pytest.raises(LensError, match="other weights of tiny"):
        load_embedder("tiny", load_settings(), lens=other)
    mine = load_backbone("tiny").weights.sha256
    lens = made(provenance={"weights_sha256": mine}, layout=SPEC.layout, csls=True)
    embedder = load_embedder("tiny", load_settings(), lens=lens)
    assert embedder.identity.dimension == 14
    assert embedder.identity.lens_sha256 == lens.digest


def test_own_lenses_are_found(tmp_path: Path) -> None:
    assert find_lens("tiny", tmp_path) is None
    made().save(tmp_path / "tiny.npz")
    assert find_lens("tiny", tmp_path) == tmp_path / "tiny.npz"


@pytest.mark.parametrize("lost", ["mean", "components", "adaptation"])
def test_an_array_that_the_archive_does_not_list_any_more(tmp_path: Path, lost: str) -> None:
    made().save(tmp_path / "whole.npz")
    with (
        zipfile.ZipFile(tmp_path / "whole.npz") as whole,
        zipfile.ZipFile(tmp_path / "less.npz", "w") as less,
    ):
        for name in whole.namelist():
            if name != f"{lost}.npy":
                less.writestr(name, whole.read(name))
    with pytest.raises(LensError, match=f"its {lost} is lost"):
        Lens.load(tmp_path / "less.npz")


def test_a_file_object_does_as_well_as_a_path(tmp_path: Path) -> None:
    lens, memory = made(5, csls=True), io.BytesIO()
    lens.save(memory)
    lens.save(tmp_path / "lens.npz")
    assert memory.getvalue() == (tmp_path / "lens.npz").read_bytes()
    assert Lens.load(memory).digest == lens.digest  # wherever it stands
    with open(tmp_path / "lens.npz", "rb") as file:
        assert Lens.load(file).digest == lens.digest
        assert not file.closed
    with pytest.raises(LensError, match="damaged"):
        Lens.load(io.BytesIO(memory.getvalue()[:-100]))


def test_a_lens_is_an_estimator() -> None:
    some, new = lookalikes.pairs(200), lookalikes.pairs(50, seed=1)
    lens = Lens().set_params(pca=40, outputs=20, csls=0.0)
    assert lens.get_params()["pca"] == 40 and lens.get_params()["backbone"] == ""
    with pytest.raises(LensError, match="learned nothing yet"):
        lens.transform(new.left)
    assert lens.fit(some.left, some.right) is lens
    vectors = lens.transform(new.left)
    assert vectors.shape == (50, 20) and lens.features == some.left.shape[1]
    same = train_lens(some, some.spec, lens.options).lens
    assert same.digest == lens.digest
    with pytest.raises(UsageError, match="learned already"):
        lens.fit(some.left, some.right)
    with pytest.raises(UsageError, match="learned already"):
        lens.set_params(pca=10)
    fresh = clone(lens)
    assert fresh.options == lens.options and not fresh.trained
    assert fresh.fit(some.left, some.right).digest == lens.digest
    with pytest.raises(UsageError, match="no training options"):
        Lens().set_params(colour=1)


def test_features_of_a_backbone_fit_it() -> None:
    random = np.random.default_rng(0)
    left, right = random.normal(size=(2, 30, 16))
    lens = Lens("tiny").set_params(pca=8, outputs=4).fit(left, right)
    lens.check(SPEC)
    assert (lens.backbone, lens.layout, lens.dimension) == ("tiny", SPEC.layout, 6)
    for wrong in (right[:, :9], right[:29]):
        with pytest.raises(UsageError):
            Lens("tiny").set_params(pca=8, outputs=4).fit(left, wrong)
    with pytest.raises(UsageError, match="tiny has 16 features, not 9"):
        Lens("tiny").fit(left[:, :9], right[:, :9])

"""The lens: what it computes, and its file."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny import SPEC
from tll_index.engine.lens import Lens, find_lens, unit
from tll_index.engine.registry import spec_of
from tll_index.errors import LensError


def made(seed: int = 0, relu: bool = True, pca: int = 8, out: int = 12) -> Lens:
    random = np.random.default_rng(seed)
    return Lens(
        backbone="tiny",
        features=16,
        mean=random.normal(size=16).astype(np.float32),
        components=random.normal(size=(pca, 16)).astype(np.float32),
        adaptation=random.normal(size=(out, pca)).astype(np.float32),
        relu=relu,
        provenance={"seed": seed},
    )


def test_it_is_pca_then_adaptation_then_norm() -> None:
    lens = made()
    features = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
    by_hand = np.maximum((features - lens.mean) @ lens.components.T @ lens.adaptation.T, 0)
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    assert np.allclose(lens.apply(features), by_hand, atol=1e-6)
    assert lens.dimension == 12 and lens.trained


def test_plain_is_only_the_norm() -> None:
    lens = Lens.plain(SPEC)
    features = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
    assert not lens.trained and lens.dimension == 16
    assert np.allclose(lens.apply(features), features / np.linalg.norm(features, axis=1)[:, None])
    assert np.allclose(lens.apply(features * 7), lens.apply(features), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), rows=st.integers(0, 9), scale=st.floats(1e-3, 1e3))
def test_vectors_have_unit_length(seed: int, rows: int, scale: float) -> None:
    features = np.random.default_rng(seed + 1000).normal(size=(rows, 16)) * scale
    vectors = made(seed, relu=False).apply(features.astype(np.float32))
    assert vectors.dtype == np.float32 and vectors.shape == (rows, 12)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_zeros_stay_zeros() -> None:
    assert not np.isnan(unit(np.zeros((2, 3), np.float32))).any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), relu=st.booleans(), without=st.sampled_from(["", "pca", "map"]))
def test_save_load_save_gives_the_same_bytes(seed: int, relu: bool, without: str) -> None:
    full = made(seed, relu)
    lens = {
        "": full,
        "pca": Lens("tiny", 16, adaptation=full.components, relu=relu),
        "map": Lens("tiny", 16, mean=full.mean, components=full.components, relu=relu),
    }[without]
    first, second = io.BytesIO(), io.BytesIO()
    lens.save(first)  # type: ignore[arg-type]
    path = Path(f"/dev/shm/lens-{seed}.npz")
    path.write_bytes(first.getvalue())
    loaded = Lens.load(path)
    path.unlink()
    loaded.save(second)  # type: ignore[arg-type]
    assert first.getvalue() == second.getvalue()
    assert loaded.digest == lens.digest and loaded.provenance == lens.provenance
    features = np.ones((1, 16), np.float32)
    assert (loaded.apply(features) == lens.apply(features)).all()


def test_digest_is_of_what_it_computes() -> None:
    assert made(0).digest == made(0).digest
    assert len({made(0).digest, made(1).digest, made(0, relu=False).digest}) == 3


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
        patched.setattr("tll_index.engine.lens.FORMAT", 2)
        made().save(path)
    with pytest.raises(LensError, match="upgrade tll-index"):
        Lens.load(path)
    with pytest.raises(LensError, match="trained for tiny"):
        made().check(spec_of("clip_rn50x4"))


def test_own_lenses_are_found(tmp_path: Path) -> None:
    assert find_lens("tiny", tmp_path) is None
    made().save(tmp_path / "tiny.npz")
    assert find_lens("tiny", tmp_path) == tmp_path / "tiny.npz"

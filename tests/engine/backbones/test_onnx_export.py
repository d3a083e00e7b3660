"""Networks as ONNX: what torch computes, exported once, healed when torn, no torch afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import tiny
import tiny_network
from pictures import fill_folder
from tll_index import build, load_backbone
from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError
from tll_index.core.sealed import read_sealed
from tll_index.engine.backbones.onnx_export import ExportError, exported
from tll_index.engine.backbones.registry import IN_FLOAT, register, spec_of
from tll_index.engine.backbones.runtime import has_gpu
from tll_index.engine.backbones.weights import locate, published


@pytest.fixture(autouse=True)
def empty_cache(home: Path) -> None:
    shutil.rmtree(home / "cache")


def pixels(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def networks(home: Path) -> list[Path]:
    return sorted((home / "cache/networks").iterdir())


@pytest.fixture
def unbundled(home: Path) -> str:
    """A row like the bundled network's, with its views, cells and deviations, whose weights are a
    file of this user's."""
    spec = replace(spec_of(IN_FLOAT), name="unbundled", graph=None, sha256=None)
    register(spec)
    shutil.copy(published(spec_of(IN_FLOAT)), home / "weights/unbundled.pth")
    return spec.name


@pytest.mark.slow
def test_it_computes_what_torch_computes(home: Path, unbundled: str) -> None:
    """Any number of pictures."""
    by_onnx = load_backbone(unbundled, settings=load_settings(runtime="onnx"))
    by_torch = load_backbone(unbundled, settings=load_settings(runtime="torch"))
    assert (by_onnx.runtime.name, by_torch.runtime.name) == ("onnx cpu", "torch cpu")
    for count in (1, 3):
        some = pixels(count, by_onnx.spec.geometry.size)
        found, wanted = by_onnx.features(some), by_torch.features(some)
        assert found.shape == wanted.shape and found.dtype == np.float32
        assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max()
    assert np.array_equal(by_onnx.features(some), by_onnx.features(some))
    assert by_onnx.features(some[:0]).shape == (0, by_onnx.spec.dimension)


@pytest.mark.slow
def test_convolutions_pad_by_themselves(home: Path, unbundled: str) -> None:
    """A step that only pads would cost a fourth of the time."""
    load_backbone(unbundled, settings=load_settings(runtime="onnx"))
    (file,) = networks(home)
    graph = onnx.load_from_string(read_sealed(file) or b"").graph
    steps = Counter(node.op_type for node in graph.node)
    assert steps["Conv"] + steps["FusedConv"] == 2 * 48  # two views
    assert not steps["Pad"]


def test_exported_once_and_healed_when_torn(home: Path) -> None:
    settings = load_settings(runtime="onnx")
    some = pixels(4, 32)
    wanted = load_backbone("tiny", settings=load_settings(runtime="torch")).features(some)

    def again() -> bytes:
        found = load_backbone("tiny", settings=settings).features(some)
        assert np.allclose(found, wanted, atol=1e-5)
        (file,) = networks(home)
        return file.read_bytes()

    first = again()
    (file,) = networks(home)
    stamp = file.stat().st_mtime_ns
    assert again() == first and file.stat().st_mtime_ns == stamp
    for torn in (first[:-1], first[: len(first) // 2], b"", first[:9] + b"!" + first[10:]):
        file.write_bytes(torn)
        again()
        assert file.stat().st_mtime_ns != stamp
    other = load_settings(runtime="onnx", weights_dir=home / "other")
    tiny.write_weights(home / "other/tiny.safetensors", seed=9)
    assert not np.allclose(load_backbone("tiny", settings=other).features(some), wanted, atol=1e-3)
    assert len(networks(home)) == 2


def test_a_folder_that_cannot_be_written_is_no_failure(home: Path) -> None:
    (home / "cache").write_text("a file")
    found = load_backbone("tiny", settings=load_settings(runtime="onnx"))
    assert found.runtime.name == "onnx cpu"


class Odd(tiny_network.Tiny):
    """What it computes depends on who looks: as ONNX it would be something else."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = super().forward(images)
        return features + 1 if torch.jit.is_tracing() else features


class Unspeakable(tiny_network.Tiny):
    """No exporter has a word for it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.linalg.matrix_exp(super().forward(images)[:, :4].reshape(-1, 2, 2)).flatten(1)


_MADE: type[torch.nn.Module] = Odd


def load(spec: object, weights: Path) -> torch.nn.Module:
    """A provider, as the registry wants it."""
    return _MADE()


@pytest.mark.parametrize(
    ("made", "why"), [(Odd, "computes something else"), (Unspeakable, "can't be exported")]
)
def test_what_cannot_be_exported_is_torchs(
    home: Path, monkeypatch: pytest.MonkeyPatch, made: type[torch.nn.Module], why: str
) -> None:
    """Said to who asks for ONNX, and remembered: the next time costs nothing."""
    monkeypatch.setitem(sys.modules, "odd_provider", sys.modules[__name__])
    monkeypatch.setattr(sys.modules[__name__], "_MADE", made)
    register(replace(tiny.SPEC, name="odd", provider="odd_provider"))
    tiny.write_weights(home / "weights/odd.safetensors")
    assert load_backbone("odd", settings=load_settings(runtime="auto")).runtime.name.startswith(
        "torch"
    )
    (note,) = networks(home)
    assert note.suffix == ".refused" and why in (read_sealed(note) or b"").decode()
    stamp = note.stat().st_mtime_ns
    with pytest.raises(UsageError, match=f"runtime onnx: odd {why}.*; use torch, or auto"):
        load_backbone("odd", settings=load_settings(runtime="onnx"))
    assert note.stat().st_mtime_ns == stamp


def test_large_networks_stay_torchs(home: Path) -> None:
    spec = replace(spec_of("tiny"), megabytes=1501)
    weights = locate(spec, home / "weights")
    with pytest.raises(ExportError, match="tiny is too large"):
        exported(spec, weights, home / "cache")


def test_which_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLL_RUNTIME", "onnx")
    assert load_settings().runtime == "onnx"
    with pytest.raises(
        UsageError, match="TLL_RUNTIME: 'abacus' is none of auto, onnx, openvino, torch"
    ):
        monkeypatch.setenv("TLL_RUNTIME", "abacus")
        load_settings()
    with pytest.raises(UsageError, match="runtime onnx is for the CPU; device 'cuda:0' needs"):
        load_backbone("tiny", settings=load_settings(runtime="onnx", device="cuda:0"))
    auto = load_backbone("tiny", settings=load_settings(runtime="auto")).runtime.name
    assert auto == "onnx cpu" or has_gpu()
    on_cpu = load_backbone("tiny", settings=load_settings(runtime="auto", device="cpu"))
    assert on_cpu.runtime.name == "onnx cpu"


def test_a_cold_query_loads_no_torch(home: Path, tmp_path: Path) -> None:
    """A second process asks, and answers as the first one did; torch, timm and scikit-learn are
    heavy, and are not loaded for that."""
    paths = fill_folder(tmp_path / "pictures", 5)
    settings = load_settings(runtime="auto", device="cpu")
    build([tmp_path / "pictures"], store=tmp_path / "store", settings=settings)
    code = (
        "import sys; from tll_index.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'sklearn', 'scipy', 'open_clip', 'huggingface_hub'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "query", paths[0], "-k", "4", "--store", tmp_path / "store"],
        env={**os.environ, "TLL_RUNTIME": "auto", "TLL_DEVICE": "cpu"},
        capture_output=True,
        text=True,
    )
    assert ended.stderr == "[]\n"
    assert ended.returncode == 0 and ended.stdout.count("picture000") == 5

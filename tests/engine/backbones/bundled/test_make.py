"""The bundled networks are what the published weights make, to the byte."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest

from pictures import noise
from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError, WeightsError
from tll_index.engine.backbones.bundled import graph_file
from tll_index.engine.backbones.bundled.calibrate import ranges_of
from tll_index.engine.backbones.bundled.make import made, main
from tll_index.engine.backbones.bundled.tensors import blocks_of
from tll_index.engine.backbones.registry import BEST, DEFAULT, IN_FLOAT, ROWS, spec_of
from tll_index.engine.backbones.weights import published

GRAPHS = [spec for spec in ROWS if spec.graph]
CONVOLUTIONS = {DEFAULT: 48, BEST: 48 + 63}


@pytest.mark.slow
def test_they_are_made_again_to_the_byte(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in made().items():
        assert graph_file(name).read_bytes() == data, name
    monkeypatch.setattr("sys.argv", ["make", "--check"])
    assert main() == 0
    assert capsys.readouterr().out.count("as it is here") == len({one.graph for one in GRAPHS})


@pytest.mark.parametrize("spec", GRAPHS, ids=lambda spec: spec.name)
def test_the_registry_has_their_digests(spec: object) -> None:
    data = graph_file(spec.graph).read_bytes()  # type: ignore[attr-defined]
    assert hashlib.sha256(data).hexdigest() == spec.graph_sha256  # type: ignore[attr-defined]
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


@pytest.mark.parametrize(("name", "count"), CONVOLUTIONS.items())
def test_only_bytes_between_convolutions(name: str, count: int) -> None:
    """Each convolution takes whole numbers and gives some: no runtime falls back to float32 in
    between."""
    model = onnx.load(str(graph_file(spec_of(name).graph or "")))
    made_by = {output: node for node in model.graph.node for output in node.output}
    taken_by: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            taken_by.setdefault(name, []).append(node.op_type)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == count
    for node in convolutions:
        assert [made_by[name].op_type for name in node.input] == ["DequantizeLinear"] * 3
        assert taken_by[node.output[0]] == ["QuantizeLinear"]


def test_ranges_are_measured_before_and_after_a_sum() -> None:
    spec = spec_of(IN_FLOAT)
    square = np.stack(
        [np.asarray(noise(n, spec.geometry.size, spec.geometry.size)) for n in range(2)]
    )
    found = ranges_of(spec, blocks_of(spec, published(spec)), [square])
    assert "blocks.0.0" in found and "stem" not in found
    assert "blocks.1.1" in found and "blocks.1.1/alone" in found
    assert all(0.1 < size < 1000 for size in found.values())


@pytest.mark.parametrize("name", [DEFAULT, BEST])
def test_8_bits_are_a_whole(name: str) -> None:
    """No other weights, no GPU, no torch: said in one line with what to do."""
    with pytest.raises(WeightsError, match="other weights with --backbone efficientnet_lite0"):
        load_backbone(name, weights=published(spec_of(IN_FLOAT)))
    for chosen in ({"runtime": "torch"}, {"device": "cuda"}):
        with pytest.raises(UsageError, match="in 8 bits, on the CPU; take the backbone"):
            load_backbone(name, settings=load_settings(**chosen))


def test_a_damaged_graph_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    torn = Path(str(tmp_path)) / "efficientnet_lite0_int8.onnx"
    torn.write_bytes(graph_file(torn.name).read_bytes()[:-1])
    monkeypatch.setattr("tll_index.engine.backbones.weights.graph_file", lambda name: torn)
    with pytest.raises(WeightsError, match=r"int8.onnx is damaged: pip install --force-reinstall"):
        load_backbone(DEFAULT)

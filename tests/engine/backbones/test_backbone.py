"""A loaded backbone: what it loads beforehand."""

from __future__ import annotations

from typing import Any

from tll_index.core.config import load_settings
from tll_index.engine.backbones import cpu_runtime
from tll_index.engine.backbones.backbone import load_backbone

INT8 = "efficientnet_lite0_int8"


def test_it_loads_what_the_first_batch_needs(monkeypatch: Any) -> None:
    loaded: list[str] = []

    def noted(name: str) -> Any:
        return lambda *_: loaded.append(name)

    monkeypatch.setattr(cpu_runtime, "OnnxRuntime", noted("onnx"))
    monkeypatch.setattr(cpu_runtime, "OpenVinoRuntime", noted("openvino"))
    monkeypatch.setattr(cpu_runtime, "has_openvino", lambda: True)
    for runtime, count, wanted in (
        ("auto", 1, "onnx"),
        ("auto", cpu_runtime.MANY, "openvino"),
        ("onnx", cpu_runtime.MANY, "onnx"),
        ("openvino", 1, "openvino"),
    ):
        backbone = load_backbone(INT8, settings=load_settings(runtime=runtime, device="cpu"))
        assert loaded == []
        backbone.prepare(count)
        backbone.prepare(count)
        assert loaded == [wanted]
        loaded.clear()


def test_other_runtimes_have_nothing_to_prepare() -> None:
    load_backbone("tiny").prepare(1)

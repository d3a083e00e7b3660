"""Whether `info` says that 8 bits are no gain: by the processor's own list of instructions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Result
from pictures import fill_folder
from tll_index.engine.backbones import processor
from tll_index.engine.backbones.processor import why_slow_in_8_bits


def test_without_its_instructions_8_bits_gain_little() -> None:
    assert "no VNNI" in why_slow_in_8_bits(frozenset({"avx2", "avx512f"}))
    for name in ("avx512_vnni", "avx_vnni", "amx_int8"):
        assert why_slow_in_8_bits(frozenset({"avx2", name})) == ""
    assert why_slow_in_8_bits(frozenset()) == ""  # nobody knows


def test_without_openvino_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "has_openvino", lambda: False)
    assert "OpenVINO is not installed" in why_slow_in_8_bits(frozenset({"avx512_vnni"}))


def test_info_says_so(here: Path, tll_index: Callable[..., Result], monkeypatch: Any) -> None:
    monkeypatch.setenv("TLL_RUNTIME", "auto")
    fill_folder(here / "photos", 2)
    assert tll_index("build", "photos", "--quiet").code == 0
    assert "speed " not in tll_index("info").out or why_slow_in_8_bits()
    monkeypatch.setattr(processor, "has_openvino", lambda: False)
    assert "speed     OpenVINO is not installed, so 8 bits" in tll_index("info").out
    assert "OpenVINO" in json.loads(tll_index("info", "--json").out)["slow_here"]

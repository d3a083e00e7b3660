"""The registry rows of the tiny backbone, without loading torch: Ray's workers add them as well."""

from __future__ import annotations

from dataclasses import replace

from tll_index.engine.decode import Geometry
from tll_index.engine.registry import BackboneSpec, Layer, register

SPEC = BackboneSpec(
    name="tiny",
    title="Sixteen random filters",
    provider="tiny",
    architecture="conv8",
    weights_tag="seed 7",
    layers=(Layer("conv", 16),),
    geometry=Geometry(size=32, fit="squash"),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    parameters=16 * 3 * 8 * 8,
    megabytes=1,
    licence="Apache-2.0",
    paper="none",
)


def install() -> None:
    """Add the row, and a second one that a store of the first must refuse."""
    register(SPEC)
    register(replace(SPEC, name="tiny2"))

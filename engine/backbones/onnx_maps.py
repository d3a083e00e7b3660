"""The maps of a bundled network, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...core.contracts import Maps, Pixels
from .onnx_runtime import load_session
from .spec import BackboneSpec, names_beside


class OnnxMaps:
    """A bundled network in ONNX Runtime, for its maps: they have the very values that
    `OnnxRuntime` pools."""

    def __init__(self, spec: BackboneSpec, model: Path) -> None:
        """`model`: an ONNX file that names its maps, see `bundled.graph`."""
        names = names_beside(spec)
        self._layers = [
            [f"maps/{name}{layer.name}" for layer in one.layers] for name, one in names.items()
        ]
        self._views = [max(1, len(one.views)) for one in names.values()]
        self._names = [name for layers in self._layers for name in layers]
        self._session = load_session(with_outputs(model.read_bytes(), self._names))

    def maps(self, pixels: Pixels) -> list[Maps]:
        """See `MapsNetwork.maps`."""
        found = self._session.run(self._names, {"pixels": np.ascontiguousarray(pixels)})
        by_name = dict(zip(self._names, found, strict=True))
        return [
            by_name[name].reshape(views, len(pixels), *by_name[name].shape[1:])[view]
            for layers, views in zip(self._layers, self._views, strict=True)
            for view in range(views)
            for name in layers
        ]


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """The same ONNX model, from which these tensors can be asked as well.

    A message in protobuf's encoding that follows another one adds to it: the graph (field 7 of the
    model) gets more outputs (its field 12), each with a name (field 1) alone.
    """
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in names)
    return model + _field(7, outputs)


def _field(number: int, body: bytes) -> bytes:
    length, coded = len(body), bytearray([number << 3 | 2])
    while length > 0x7F:
        coded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(coded) + bytes([length]) + body

"""ONNX, node by node: what every graph that is made here is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .quantize import rounded, scales

OPSET, IR_VERSION = 17, 8

Shape = Sequence[int | str]


@dataclass
class Graph:
    """The nodes and constants so far."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    """What 1 stands for in tensors that are whole numbers of 8 bits times something."""
    views: dict[Any, str] = field(default_factory=dict)
    """Tensors that several networks see, by what they are views of: made once."""

    def constant(self, name: str, values: Any) -> str:
        """A constant's name, which has a number at its end where there are other values of the same
        name; the same again where there is one."""
        made, plain, others = np.asarray(values, order="C"), name, 0
        while (known := self.constants.get(name)) is not None:
            if known.SerializeToString() == numpy_helper.from_array(made, name).SerializeToString():
                return name
            others += 1
            name = f"{plain}_{others}"
        self.constants[name] = numpy_helper.from_array(made, name)
        return name

    def add(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """A node with one output, which has the node's name."""
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def numbers(self, name: str, values: Sequence[int]) -> str:
        """A constant of whole numbers."""
        return self.constant(name, np.array(values, np.int64))

    def in_float(
        self, name: str, weights: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> list[str]:
        """A convolution's weights and bias."""
        return [self.constant(f"weights/{name}", weights), self.constant(f"bias/{name}", bias)]

    def quantized(
        self,
        name: str,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        input_scale: float,
        groups: int = 1,
    ) -> list[str]:
        """The same, as whole numbers and what turns them back."""
        scale = scales(weights, groups, bias, input_scale)
        bias_scale = (scale * np.float32(input_scale)).astype(np.float32)
        whole: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {
            "weights": (rounded(weights, scale), scale),
            "bias": (np.round(bias / bias_scale).astype(np.int32), bias_scale),
        }
        return [
            self.add(
                "DequantizeLinear",
                [
                    self.constant(f"{kind}/{name}", values),
                    self.constant(f"{kind}/{name}/scale", of_each),
                    self.constant(f"{kind}/{name}/zero", np.zeros(len(values), values.dtype)),
                ],
                f"{kind}/{name}/real",
                axis=0,
            )
            for kind, (values, of_each) in whole.items()
        ]

    def as_bytes(self, maps: str, name: str, scale: float, zero: int, missing: int = 0) -> str:
        """The same maps, each value the nearest of 256.

        Args:
            missing: so many rows and columns of 0 are set below and to the right of them.
        """
        scale = float(np.float32(scale))
        how = [
            self.constant(f"scale/{name}", np.float32(scale)),
            self.constant(f"zero/{name}", np.uint8(zero)),
        ]
        coded = self.add("QuantizeLinear", [maps, *how], f"bytes/{name}")
        if missing:
            pads = self.numbers(f"c/missing_{missing}", [0, 0, 0, 0, 0, 0, missing, missing])
            coded = self.add("Pad", [coded, pads, how[1]], f"padded/{name}")
        real = self.add("DequantizeLinear", [coded, *how], f"real/{name}")
        self.scales[real] = scale
        return real

    def model(
        self,
        name: str,
        inputs: Mapping[str, tuple[int, Shape]],
        outputs: Mapping[str, tuple[int, Shape]],
    ) -> ModelProto:
        """The whole.

        Args:
            inputs, outputs: by name, ONNX's number of their type and their shape.
        """
        taken, given = (
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in some.items()]
            for some in (inputs, outputs)
        )
        constants = list(self.constants.values())
        made = helper.make_graph(self.nodes, name, taken, given, constants)
        return helper.make_model(
            made,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="tll-index",
        )

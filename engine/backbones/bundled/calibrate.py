"""How far from 0 each block's values get on pictures: what 8 bits must hold of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper

from ....core.contracts import Pixels
from ....core.privacy import load_onnxruntime
from ..spec import BackboneSpec
from .graph import build
from .tensors import Block

BATCH = 8


def ranges_of(
    spec: BackboneSpec, blocks: Sequence[Block], batches: Iterable[Pixels]
) -> dict[str, float]:
    """For each block whose values have both signs, and what it makes before it adds what it got
    (`<block>/alone`): the largest size of a value in a batch, on average, to three digits.

    Args:
        batches: each (BATCH, size, size, 3) uint8 RGB.
    """
    model = build(spec, [blocks])
    named: dict[str, str] = {}
    for block in blocks[1:]:
        last = f"conv/{block.convolutions[-1].name}"
        named[f"{block.name}/alone" if block.has_skip else block.name] = last
        if block.has_skip:
            named[block.name] = f"sum/{block.name}"
    return largest(model, named, batches)


def largest(
    model: ModelProto, named: Mapping[str, str], batches: Iterable[Pixels]
) -> dict[str, float]:
    """The largest size of a value in a batch, on average, to three digits.

    Args:
        named: the tensors of `model`, each by the name that its range shall have.
    """
    for output in named.values():
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    session = load_onnxruntime().InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = [
        [np.abs(values).max() for values in session.run([*named.values()], {"pixels": batch})]
        for batch in batches
    ]
    means = np.asarray(found, np.float64).mean(axis=0)
    return {name: float(f"{mean:.3g}") for name, mean in zip(named, means, strict=True)}

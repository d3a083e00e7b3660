"""Torch as a runtime: batches that memory does not hold, and half precision that must be faithful.
What only a GPU does is tried on the CPU as far as it goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tll_index.core.config import Settings, load_settings
from tll_index.engine.backbones.runtime import TorchRuntime, has_gpu, pictures_a_pass


class Pooled(torch.nn.Module):
    """Means of channels, of at most `most` pictures."""

    def __init__(self, most: int, scale: float = 1.0) -> None:
        super().__init__()
        self.most, self.scale = most, scale
        self.sizes: list[int] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(pixels))
        if len(pixels) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return pixels.mean((2, 3)) @ (torch.eye(3) * self.scale)


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_a_batch_that_does_not_fit_is_halved(most: int) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (13, 4, 4, 3), dtype=np.uint8)
    network = Pooled(most)
    found = TorchRuntime(network, "cpu").run(batch)
    assert np.allclose(found, batch.mean((1, 2)), atol=1e-4)
    assert sum(size for size in network.sizes if size <= most) == 13


def test_one_picture_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        TorchRuntime(Pooled(0), "cpu").run(np.zeros((3, 4, 4, 3), np.uint8))


def test_half_precision_is_taken_only_where_it_is_faithful() -> None:
    assert TorchRuntime(Pooled(100), "cpu").half_is_faithful(8)
    # Beyond 65,504 is infinity in float16.
    assert not TorchRuntime(Pooled(100, scale=1e5), "cpu").half_is_faithful(8)


def test_batches_are_small_on_a_cpu() -> None:
    assert pictures_a_pass(Settings(device="cpu")) == 32
    assert pictures_a_pass(Settings(runtime="onnx")) == 32
    assert pictures_a_pass(load_settings(batch_size=7)) == 7
    assert pictures_a_pass(Settings()) == (256 if has_gpu() else 32)

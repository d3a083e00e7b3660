"""dlib's face recognition network out of its own file, without dlib.

The file is a stream that dlib's templates wrote: first the version of each layer from the last to
the first, then what each layer holds from the first to the last. Whole numbers have a byte of their
length and sign, then their bytes; old decimal numbers are a mantissa and an exponent of two;
tensors have their four sides and float32 values. Layers without weights hold a name at most, and
the file does not say what is added to what: `recognition.py` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .....core.errors import WeightsError

INPUT = "input_rgb_image_sized"
_NAMED = ("relu_", "add_prev_")
_POOLS = ("max_pool_2", "avg_pool_2")
_LONGEST_NAME = 64


@dataclass(frozen=True, eq=False)
class Filters:
    """A convolution of dlib's with the affine layer behind it, as one convolution."""

    weights: NDArray[np.float32]
    """(filters, channels, k, k)."""
    bias: NDArray[np.float32]
    """(filters,)."""
    stride: int
    padding: int
    """Rows and columns of zeros on each side."""


@dataclass(frozen=True, eq=False)
class DlibWeights:
    """All that the file holds of the network."""

    mean: tuple[float, float, float]
    """Of RGB in 0 to 255: the network sees (pixels - mean) / 256."""
    side: int
    filters: tuple[Filters, ...]
    """In the order in which they are computed."""
    head: NDArray[np.float32]
    """(256, 128): from the mean of the last maps to the embedding."""


def read_dlib(path: Path) -> DlibWeights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`.

    Raises:
        WeightsError: the file is another, or damaged.
    """
    try:
        return _read(_Stream(path.read_bytes()))
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise WeightsError(f"{path} is not dlib's face recognition network: {error}") from error


def _read(stream: _Stream) -> DlibWeights:
    _expect(stream.integer(), 1, "version")
    _expect(stream.text(), "loss_metric_2", "loss")
    stream.decimal(), stream.decimal()  # margin and threshold, of training
    while stream.integer() != 3:  # layers' versions; the one over the input is the only 3
        pass
    _expect(stream.text(), INPUT, "input")
    red, green, blue = (stream.decimal() for _ in range(3))
    side, _ = stream.integer(), stream.integer()
    found: list[Filters] = []
    for number in range(1 << 10):
        kind = stream.text()
        if kind == "con_4":
            found.append(_filters(stream))
        elif kind == "affine_":
            found[-1] = _scaled(found[-1], stream)
        elif kind in _POOLS:
            [stream.integer() for _ in range(6)]
        elif kind == "fc_2":
            return DlibWeights((red, green, blue), side, tuple(found), _head(stream))
        elif kind not in _NAMED:
            raise ValueError(f"an unknown layer {kind!r}")
        _leave(stream, is_first=number == 0)
    raise ValueError("too many layers")


def _filters(stream: _Stream) -> Filters:
    """A convolution: all its numbers in one tensor, and then what they are."""
    numbers = stream.tensor()
    filters, k, _, stride, _, padding, _ = (stream.integer() for _ in range(7))
    shape, _ = stream.shape(), stream.shape()
    [stream.decimal() for _ in range(4)]  # of training
    weights, bias = np.split(numbers.ravel(), [int(np.prod(shape))])
    _expect((shape[0], *shape[2:], len(bias)), (filters, k, k, filters), "shape of filters")
    return Filters(weights.reshape(shape), bias, stride, padding)


def _scaled(before: Filters, stream: _Stream) -> Filters:
    """The same, each filter times its gamma plus its beta."""
    gamma, beta = stream.tensor().astype(np.float64).reshape(2, -1)
    [stream.shape() for _ in range(2)]
    stream.integer()  # mode
    weights = (before.weights * gamma[:, None, None, None]).astype(np.float32)
    bias = (before.bias * gamma + beta).astype(np.float32)
    return Filters(weights, bias, before.stride, before.padding)


def _head(stream: _Stream) -> NDArray[np.float32]:
    width, inputs = stream.integer(), stream.integer()
    return stream.tensor().reshape(inputs, width)


def _leave(stream: _Stream, is_first: bool) -> None:
    """Over what every layer has of training: three flags and three empty tensors."""
    [stream.flag() for _ in range(3)]
    [stream.tensor() for _ in range(3)]
    if is_first:
        stream.integer()


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise ValueError(f"{what} {found!r} instead of {wanted!r}")


class _Stream:
    """Bytes that are taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("the file ends too early")
        self._at += count
        return taken

    def flag(self) -> bool:
        return self._take(1) == b"1"

    def integer(self) -> int:
        (control,) = self._take(1)
        size = int.from_bytes(self._take(control & 0x0F), "little")
        return -size if control & 0x80 else size

    def decimal(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        return float(np.ldexp(float(mantissa), exponent))

    def text(self) -> str:
        if (length := self.integer()) > _LONGEST_NAME:
            raise ValueError("no name where there should be one")
        return self._take(length).decode("ascii")

    def shape(self) -> tuple[int, ...]:
        """Four sides, behind the version of a tensor's format."""
        self.integer()
        return tuple(self.integer() for _ in range(4))

    def tensor(self) -> NDArray[np.float32]:
        shape = self.shape()
        data = self._take(4 * int(np.prod(shape)))
        return np.frombuffer(data, "<f4").reshape(shape)

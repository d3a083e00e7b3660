"""Whether two pictures are one and the same: their details, place by place.

A lens says what looks alike, and pictures of two different penguins do. The *outline* of a picture
is a small grey copy. What differs from place to place in it (a band of frequencies, divided by how
strong it is around, so that no black bar outweighs all else) is the same in another size, format or
brightness, and in nothing else. A part that was cut out is looked for in the whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Pixels
from ..images.decode import Geometry
from .boxes import WHOLE, Box
from .correlation import Spectra, correlations, spectra

SIDE = 48
OUTLINE_GEOMETRY = Geometry(SIDE, "squash")
"""What a picture is decoded to for its outline."""

Outlines: TypeAlias = NDArray[np.uint8]
"""(n, SIDE, SIDE), grey."""
PackedDetails: TypeAlias = NDArray[np.int8]
"""(n, SIDE, SIDE)."""
Details: TypeAlias = NDArray[np.float32]
"""(n, h, w)."""

LEAST_PART = 0.75
"""Of the whole's width and height, what a part that is cut out of it must keep to be found."""

_FINE, _COARSE, _AROUND = 0.7, 3.0, 5.0
"""Standard deviations of Gaussians, in outline pixels: below the first is noise, above the second
is light and colour; the third is how far `around` goes."""
_NOISE = 3.0
"""Grey levels: weaker details count for less, so that the noise of a plain wall counts little."""
_LEAST = 1.0
"""Details that are weaker in sum are none; what rounding leaves of a blank picture is."""
_MARGIN = 2
"""At the borders of a part, details depend on what was cut off: so many pixels are left out."""
_PROMISING = 0.8
"""What is less alike than this at half the size is not looked at any more."""
_AT_A_TIME = 512
"""Pairs that are compared at once, in some 100 MB."""
_PACKED = 32
"""Steps a unit in packed details, which are -4 to 4: a cosine is kept to 0.001."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def outline(pixels: Pixels) -> Outlines:
    """(SIDE, SIDE, 3) -> (SIDE, SIDE): luma (ITU-R 601)."""
    return np.asarray((pixels @ _LUMA).round(), np.uint8)


def details(outlines: NDArray[np.generic]) -> Details:
    """(n, h, w) grey -> (n, h, w): what is compared."""
    grey = outlines.astype(np.float32)
    band = _smoothed(grey, _FINE) - _smoothed(grey, _COARSE)
    around = _smoothed(band * band, _AROUND)
    return np.asarray(band / np.sqrt(around + _NOISE), np.float32)


def packed_details(outlines: Outlines) -> PackedDetails:
    """The details of outlines (n, SIDE, SIDE), as they are kept of many pictures."""
    return np.asarray((_PACKED * details(outlines)).round().clip(-127, 127), np.int8)


def likeness_of_packed(one: PackedDetails, other: PackedDetails) -> NDArray[np.float32]:
    """(n,): as `likeness`, of pictures whose details are known, for a fiftieth of the time."""
    first, second = (side.reshape(-1, SIDE**2).astype(np.float32) for side in (one, other))
    return _cosine(first, second, _LEAST * _PACKED**2)


def likeness(one: Outlines, other: Outlines) -> NDArray[np.float32]:
    """(n,): how well the details of each pair of outlines agree, place by place: 1 where they are
    the same but for light and contrast, 0 where they have nothing in common or show nothing."""
    found = np.empty(len(one), np.float32)
    for some in _blocks(len(one)):
        first, second = (details(side[some]).reshape(-1, SIDE**2) for side in (one, other))
        found[some] = _cosine(first, second)
    return found


def likeness_of_parts(
    one: Outlines, other: Outlines, stretches: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(n,): the same where one picture of a pair may be a part that was cut out of the other: at
    the place where it fits best. 0 where it can't be, or a glance at half the size shows that it
    isn't.

    Args:
        stretches: (n,): width / height of each second picture, divided by that of the first: the
            outlines don't tell, since all are squares.
    """
    found = np.empty(len(one), np.float32)
    for some in _blocks(len(one)):
        first, second, stretch = one[some], other[some], stretches[some]
        found[some] = np.maximum(
            _likeness_of_parts(first, second, stretch),
            _likeness_of_parts(second, first, 1 / stretch),
        )
    return found


def position_of_part(whole: Outlines, part: Outlines, stretch: float) -> tuple[float, Box]:
    """How well a part (SIDE, SIDE) agrees with the place where it fits best in a whole, and that
    place.

    Args:
        stretch: width / height of the part, divided by that of the whole.
    """
    wholes = _Wholes.of(details(whole[None]))
    best = 0.0, WHOLE
    for height, width in _sizes(SIDE, np.array([stretch])):
        fitted = _resampling(height, SIDE) @ part.astype(np.float32) @ _resampling(width, SIDE).T
        cosines = wholes.at_positions([0], details(fitted[None]))[0]
        top, left = np.unravel_index(int(cosines.argmax()), cosines.shape)
        corner_box = np.array([left, top, left + width, top + height], float)
        corner_box[[0, 2]] -= _MARGIN
        corner_box[[1, 3]] -= _MARGIN
        best = max(best, (float(cosines.max()), Box(*(corner_box / SIDE).tolist())))
    return best


def _blocks(count: int) -> Iterator[slice]:
    return (slice(at, at + _AT_A_TIME) for at in range(0, count, _AT_A_TIME))


def _likeness_of_parts(
    wholes: Outlines, parts: Outlines, stretches: NDArray[np.floating]
) -> NDArray[np.float32]:
    best = _best_fit(_halved(wholes), _halved(parts), stretches)
    promising = np.flatnonzero(best >= _PROMISING)
    best[:] = 0
    whole, part = (side[promising].astype(np.float32) for side in (wholes, parts))
    best[promising] = _best_fit(whole, part, stretches[promising])
    return best


def _best_fit(
    wholes: NDArray[np.float32], parts: NDArray[np.float32], stretches: NDArray[np.floating]
) -> NDArray[np.float32]:
    best = np.zeros(len(wholes), np.float32)
    side = wholes.shape[-1]
    whole = _Wholes.of(details(wholes))
    for (height, width), rows in _sizes(side, stretches).items():
        fitted = _resampling(height, side) @ parts[rows] @ _resampling(width, side).T
        best[rows] = np.maximum(best[rows], whole.best_positions(rows, details(fitted)))
    return best


def _halved(outlines: Outlines) -> NDArray[np.float32]:
    grey = outlines.astype(np.float32)
    rows = grey[:, ::2] + grey[:, 1::2]  # a mean over two axes takes ten times as long
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4)


def _sizes(side: int, stretches: NDArray[np.floating]) -> dict[tuple[int, int], list[int]]:
    """(height, width) in outline pixels -> which parts may have that size in their wholes."""
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    least = round(LEAST_PART * side)
    for row, stretch in enumerate(stretches.tolist()):
        sizes = {(size, round(size * stretch)) for size in range(least, side + 1)}
        sizes |= {(round(size / stretch), size) for size in range(least, side + 1)}
        for size in sizes:
            if least <= min(size) and max(size) <= side:
                rows[size].append(row)
    return rows


@dataclass(frozen=True, eq=False)
class _Wholes:
    """Pictures in which parts are looked for."""

    spectra: Spectra
    """Of their details."""
    sums: NDArray[np.float64]
    """(n, side + 1, side + 1): of the squares of all details above and to the left."""

    @classmethod
    def of(cls, wholes: Details) -> _Wholes:
        squares = np.pad(wholes.astype(np.float64) ** 2, ((0, 0), (1, 0), (1, 0)))
        return cls(spectra(wholes, wholes.shape[-1]), squares.cumsum(1).cumsum(2))

    def best_positions(self, rows: list[int], parts: Details) -> NDArray[np.float32]:
        """(r,): the highest cosine of each part's inside with any place of its size in the whole
        of that row."""
        return np.asarray(self.at_positions(rows, parts).max((1, 2)), np.float32)

    def at_positions(self, rows: list[int], parts: Details) -> NDArray[np.float64]:
        """(r, y, x): the cosine of each part's inside with each place."""
        inside = parts[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        height, width = inside.shape[1:]
        side = self.sums.shape[1] - 1
        products = correlations(
            self.spectra[rows], spectra(inside, side), side - height + 1, side - width + 1
        )
        sums = self.sums[rows]
        lower, upper = sums[:, height:], sums[:, :-height]
        squares = lower[:, :, width:] - lower[:, :, :-width]
        squares -= upper[:, :, width:] - upper[:, :, :-width]
        own = (inside**2).sum((1, 2))[:, None, None]
        cosines = products / np.sqrt(np.maximum(squares * own, _LEAST))
        return np.asarray(cosines)


def _cosine(
    one: NDArray[np.float32], other: NDArray[np.float32], least: float = _LEAST
) -> NDArray[np.float32]:
    product, *squares = (
        np.einsum("ij,ij->i", *pair) for pair in ((one, other), (one, one), (other, other))
    )
    return np.asarray(product / np.sqrt(squares[0] * squares[1]).clip(least), np.float32)


def _smoothed(images: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian mean around each pixel, of what of the image is there."""
    height, width = images.shape[1:]
    return np.asarray(gaussian(height, sigma) @ images @ gaussian(width, sigma).T)


@lru_cache(maxsize=256)
def gaussian(size: int, sigma: float) -> NDArray[np.float32]:
    """(size, size): each row the weights of one mean."""
    at = np.arange(size)
    weights = np.exp(-0.5 * ((at[:, None] - at) / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@cache
def _resampling(size: int, side: int) -> NDArray[np.float32]:
    """(size, side): linear interpolation between the centres of pixels."""
    at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(side)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)

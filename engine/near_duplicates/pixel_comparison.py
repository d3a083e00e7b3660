"""Whether two pictures whose outlines agree are one: looked at closely, place by place.

Outlines are small: two chats on one phone, two invoices on one form and a red and a blue disc have
the same. So both pictures are brought into register, made equally sharp and equally bright, and
compared once more. What compression, size and light change is spread thin; another text is a place
where nothing agrees. A mark that was laid over a picture is such a place, too, but one of a single
colour through which the other picture can be seen or that covers little of a photograph, while
another text takes something away and brings something else. And where both have colours, these
must agree but for light and tone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Pixels
from ..images.decode import Geometry
from .boxes import WHOLE, Box
from .outlines import SIDE, gaussian, likeness
from .registration import Grey, registered, sampled

FINE = 384
COMPARISON_GEOMETRY = Geometry(FINE, "squash")
"""What a picture is decoded to for a close look."""

MOST_DIFFERENT = 0.22
"""How much of the details at any place may be others, where hardly any differ elsewhere. Of 60
photographs each, as JPEG of quality 30, half and twice the size, cut by 5% or with a border of 4%,
all stay below 0.22; another number on an invoice has 0.26 and more."""
_NOISY, _NOISIEST = 9.0, 2.05
"""The noisier a copy is in nine tenths of its places, the more may differ at the worst, up to so
many times as much: as JPEG of quality 15 a tenth has 0.08 to 0.1, and the worst place 0.36."""
_FURTHEST = 0.5
"""Pixels of the less sharp picture: what so small a shift explains was only sampled otherwise."""

_LEAST_SIDE = 64
_GLANCE = 128
"""Pixels at which most that differs is told already, for a tenth of the time."""
_REGISTERED = 256
_SHARPNESS = 0.8
"""Of a Gaussian that makes both equally sharp, in pixels of the less sharp one."""
_BAND, _PATCH = 5.0, 2.0
"""What is larger than the first is light; the second is the size of a place; in the same unit."""
_NOISE = 8.0
"""Grey levels: weaker details need not agree."""
_REGION = 1 / 8
"""Of the picture: where contrast is adjusted together."""
_GAINS = 0.5, 1.5
_BINS = 24
_RIM = 1 / 36
"""Of the picture: its border is not looked at, since what was cut off shines into it."""

_DOUBTFUL = 0.25
"""Details of which so much differs belong to a mark, as far as it reaches."""
_LARGEST_MARK = 0.5
"""Share of the picture that a mark reaches over; a pattern of words all over it takes 0.28."""
_LEAST_EXPLAINED = 0.88
"""Of what differs, what one colour laid over one of the pictures explains. Marks of six kinds: 0.97
(95% of them; letters on a bar 0.78); other texts, numbers and drawings 0.65 to 0.77."""
_PHOTOGRAPH = 12.0
"""Grey levels that a picture has, effectively (exp of the entropy, of 64): 95% of photographs have
10.7 or more, half 33; forms, chats and drawings 3 to 10.5."""
_LEAST_TURNED = 8.0
"""Grey levels that a picture has which is found mirrored and turned: an arrow to the left
is no copy of one to the right, and the French flag, turned, none of the Dutch one."""
_LEAST_SEEN_THROUGH = 0.15
"""Slope of what is below a mark: above that it is seen through."""

_CELLS = 24
"""Colours are compared on so many cells a side."""
_GREY = 18.0
"""A picture that hardly has cells more colourful is a grey one."""


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture at the size and in the forms in which it is compared."""

    pixels: Pixels
    """(FINE, FINE, 3), squashed; lying as the other one."""
    width: int
    height: int
    """Of the file, in pixels; lying as the other one."""
    box: Box
    """The part that may show the same."""
    turned: bool = False
    """Whether it was mirrored or turned, to lie as the other one."""


def agreement(one: Sight, other: Sight, most_different: float = MOST_DIFFERENT) -> float:
    """How well the details of two pictures agree, 0 to 1, outside of a mark; 0 where a closer look
    says that they show different things.

    Args:
        most_different: how much of the details at a place may be others.
    """
    first, second = (_grey(sight.pixels) for sight in (one, other))
    there, agreed = other.box, 0.0
    for side, most in ((_GLANCE, 2 * most_different), (FINE, most_different)):
        there = registered(first, second, one.box, there, side=min(side, _REGISTERED) // 2)
        agreed = _agreement(one, other, there, side, most)
        if not agreed:
            break
    return agreed


def _agreement(one: Sight, other: Sight, there: Box, most_pixels: int, most: float) -> float:
    """The same for what `there` of the other shows, looked at with so many pixels a side."""
    across, down = (
        min(one.box.size[axis] * sizes[0], there.size[axis] * sizes[1], most_pixels)
        for axis, sizes in enumerate(((one.width, other.width), (one.height, other.height)))
    )
    side = int(np.clip(max(across, down), _LEAST_SIDE, most_pixels))
    pair = _Pair.of(
        sampled(one.pixels, one.box, side, side),
        sampled(other.pixels, there, side, side),
        (max(1.0, side / max(down, 1)), max(1.0, side / max(across, 1))),
    )
    if (one.turned or other.turned) and pair.levels() < _LEAST_TURNED:
        return 0.0
    differing = pair.differing()
    mark = np.zeros(differing.shape, bool)
    inside = _inside(differing)
    noise = float(np.quantile(inside, 0.9))
    if inside.max() > most * min(1 + _NOISY * noise, _NOISIEST):
        mark = pair.reach_of(differing)
        if not pair.is_mark(mark):
            return 0.0
    return pair.likeness(mark) if pair.colours_agree(mark) else 0.0


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two pictures in register and equally sharp: (n, n, 3), 0 to 255."""

    one: NDArray[np.float32]
    other: NDArray[np.float32]
    blur: tuple[float, float]
    """Pixels, down and across, that are one pixel of the less sharp picture."""

    @classmethod
    def of(
        cls, one: NDArray[np.float32], other: NDArray[np.float32], blur: tuple[float, float]
    ) -> _Pair:
        return cls(_smoothed(one, _SHARPNESS, blur), _smoothed(other, _SHARPNESS, blur), blur)

    def differing(self) -> Grey:
        """(n, n): the share of the details at each place that is another in the other picture."""
        one, other = _grey(self.one), _grey(self.other)
        ways = [self._differing(one, other), self._differing(other, one)]
        return min(ways, key=lambda way: float(_inside(way).max()))

    def _differing(self, one: Grey, other: Grey) -> Grey:
        toned = _toned(one, other)
        band, wanted = (side - self._smoothed(side, _BAND) for side in (toned, other))
        region = _REGION * len(one)
        strength = _smoothed(band * band, region) + (_NOISE / 2) ** 2
        gain = (_smoothed(band * wanted, region) / strength).clip(*_GAINS)
        band *= gain
        details = self._smoothed(np.maximum(band * band, wanted * wanted), _PATCH)
        return np.asarray(self._unexplained(band, wanted) / (details + _NOISE**2))

    def _unexplained(self, band: Grey, wanted: Grey) -> Grey:
        """What differs at each place, squared, after the shift that explains most of it (least
        squares on the slopes, as Lucas and Kanade), which is a fraction of a pixel."""
        rest = wanted - band
        down, across = (np.asarray(slope, np.float32) for slope in np.gradient(band))

        def mean(image: Grey) -> Grey:
            return self._smoothed(image, _PATCH)

        steep = _NOISE**2 / 4
        xx, yy, xy = mean(across * across), mean(down * down), mean(across * down)
        along_x, along_y = mean(across * rest), mean(down * rest)
        free = (xx + steep) * (yy + steep) - xy * xy
        x = ((yy + steep) * along_x - xy * along_y) / free
        y = ((xx + steep) * along_y - xy * along_x) / free
        shrink = np.minimum(1, _FURTHEST * max(self.blur) / np.maximum(np.hypot(x, y), 1e-6))
        x, y = x * shrink, y * shrink
        explained = 2 * (x * along_x + y * along_y) - x * x * xx - y * y * yy - 2 * x * y * xy
        return np.maximum(mean(rest * rest) - explained, 0)

    def _smoothed(self, image: Grey, sigma: float) -> Grey:
        return _smoothed(image, sigma, self.blur)

    def reach_of(self, differing: Grey) -> NDArray[np.bool_]:
        """(n, n): where there is a mark, if it is one."""
        return self._smoothed((differing > _DOUBTFUL).astype(np.float32), _PATCH) > 0.1

    def levels(self) -> float:
        """How many grey levels both have, effectively."""
        return min(_levels(_grey(side)) for side in (self.one, self.other))

    def is_mark(self, mark: NDArray[np.bool_]) -> bool:
        """Whether what differs is one colour laid over one of the two."""
        if mark.mean() > _LARGEST_MARK:
            return False
        change = self.other - self.one
        change = (change - np.median(change[~mark], axis=0))[mark]
        sides = (self.one[mark], change), (self.other[mark], -change)
        below, change = max(sides, key=lambda side: _explained(*side))
        if _explained(below, change) < _LEAST_EXPLAINED:
            return False
        return self.levels() >= _PHOTOGRAPH or _seen_through(_grey(below), _grey(below + change))

    def colours_agree(self, mark: NDArray[np.bool_]) -> bool:
        """Whether the colours of both agree but for light, tone and strength, outside of a mark."""
        side = len(self.one)
        one, other, marked = (
            sampled(image, WHOLE, _CELLS, _CELLS).reshape(_CELLS**2, -1)
            for image in (self.one, self.other, mark.astype(np.float32))
        )
        clear = marked[:, 0] < 0.2
        if clear.sum() < _CELLS or side < _CELLS:
            return True
        one, other = one[clear], other[clear]
        flat = self.levels() < _PHOTOGRAPH
        first, second = _chroma(one), _chroma(other)
        coloured = [_colourful(side) >= _GREY for side in (first, second)]
        # A grey copy has the very lights of its original: a black disc is none of a red one.
        gains, most = ((0.75, 1.35), 30) if coloured[0] == coloured[1] else ((0.94, 1.06), 12)
        if flat and not _lights_agree(_grey(one), _grey(other), gains, most):
            return False
        if not all(coloured):
            return True
        ways = (first, second, _grey(other)), (second, first, _grey(one))
        return any(_chroma_agrees(*way, flat) for way in ways)

    def likeness(self, mark: NDArray[np.bool_]) -> float:
        """How well their outlines agree, in register and without a mark."""
        one, other = _toned(_grey(self.one), _grey(self.other)), _grey(self.other)
        outlines = [
            sampled(side, WHOLE, SIDE, SIDE).clip(0, 255).round().astype(np.uint8)[None]
            for side in (np.where(mark, other, one), other)
        ]
        return float(likeness(*outlines)[0])


def _inside(positions: Grey) -> Grey:
    """All but the border of (n, n)."""
    rim = max(3, round(_RIM * len(positions)))
    return positions[rim:-rim, rim:-rim]


def _toned(one: Grey, other: Grey) -> Grey:
    """The first as light as the second: each level becomes what is there in the other, mostly."""
    level = (one.ravel() * (_BINS / 256)).clip(0, _BINS - 1).astype(np.uint8)
    order = np.argsort(level, kind="stable")
    ends = np.searchsorted(level[order], np.arange(1, _BINS))
    levels = zip(*(np.split(side.ravel()[order], ends) for side in (one, other)), strict=True)
    filled = [pair for pair in levels if len(pair[0]) >= max(8, one.size // 2000)]
    if not filled:
        return one
    from_, to = zip(*((below.mean(), np.median(above)) for below, above in filled), strict=True)
    return np.asarray(np.interp(one, from_, np.maximum.accumulate(to)), np.float32)


def _explained(below: NDArray[np.float32], change: NDArray[np.float32]) -> float:
    """The share of a change (n, 3) that one colour explains, laid over what is below (n, 3)."""
    amount = (change**2).sum(1)
    most = amount >= np.quantile(amount, 0.85)
    colours = [(255,) * 3, (128,) * 3, (0,) * 3, np.median((below + change)[most], axis=0)]
    return max(_explained_by(np.asarray(colour, np.float64), below, change) for colour in colours)


def _explained_by(
    colour: NDArray[np.float64], below: NDArray[np.float32], change: NDArray[np.float32]
) -> float:
    way = colour - below
    cover = ((change * way).sum(1) / ((way**2).sum(1) + 1)).clip(0, 1)
    rest = ((change - cover[:, None] * way) ** 2).sum()
    return float(1 - rest / max((change**2).sum(), 1e-3))


def _seen_through(below: Grey, marked: Grey) -> bool:
    """Whether what is below a mark is seen through it, and there is something to be seen."""
    if below.std() < 2 * _NOISE:
        return False
    change = np.abs(marked - below)
    inner = change >= np.quantile(change, 0.6)
    below, marked = below[inner], marked[inner]
    if below.std() < 2 * _NOISE:
        return False
    slope = float(np.polyfit(below, marked, 1)[0])
    along = float(np.corrcoef(below, marked)[0, 1])
    return slope > _LEAST_SEEN_THROUGH and along > 0.8


def _levels(grey: Grey) -> float:
    """How many grey levels of 64 there are, effectively."""
    shares = np.bincount((grey / 4).astype(int).clip(0, 63).ravel(), minlength=64) / grey.size
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _lights_agree(one: Grey, other: Grey, gains: tuple[float, float], most: float) -> bool:
    """Whether one (n,) is the other but for brightness and contrast."""
    gain = np.cov(one, other)[0, 1] / max(float(one.var()), 1e-3)
    rest = other - float(np.clip(gain, *gains)) * one
    return bool((np.abs(rest - np.median(rest)) > most).mean() <= 0.03)


def _chroma(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 3) -> (n, 2): red against green, yellow against blue."""
    red, green, blue = cells.T
    return np.stack([red - green, (red + green) / 2 - blue], axis=1)


def _colourful(chroma: NDArray[np.float32]) -> float:
    return float(np.quantile(np.hypot(*chroma.T), 0.98))


def _chroma_agrees(
    one: NDArray[np.float32], other: NDArray[np.float32], light: Grey, flat: bool
) -> bool:
    """Whether one (n, 2) is the other but for strength, and a tint that is stronger in the light.
    Of a photograph the other may have lost all colours but a tone."""
    bright = light[:, None] / 255
    weakest, strongest, tint = (0.5, 1.7, 30.0) if flat else (0.0, 2.5, 90.0)
    hue: Any = np.zeros(2)
    strength = 1.0
    for _ in range(4):
        left = other - bright * hue
        strength = float(
            np.clip((one * left).sum() / max((one**2).sum(), 1e-3), weakest, strongest)
        )
        left = other - strength * one
        hue = np.asarray((bright * left).sum(0) / max((bright**2).sum(), 1e-3)).clip(-tint, tint)
    rest = np.hypot(*(other - strength * one - bright * hue).T)
    return bool((rest > (42 if flat else 60)).mean() <= 0.03)


def _grey(pixels: NDArray[np.generic]) -> Grey:
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _smoothed(
    image: NDArray[np.float32], sigma: float, blur: tuple[float, float] = (1.0, 1.0)
) -> NDArray[np.float32]:
    """A Gaussian mean around each pixel of (h, w) or (h, w, c)."""
    down, across = (
        gaussian(size, round(sigma * one, 1)) for size, one in zip(image.shape, blur, strict=False)
    )
    if image.ndim == 2:
        return np.asarray(down @ image @ across.T)
    return np.stack([down @ channel @ across.T for channel in np.moveaxis(image, 2, 0)], axis=2)

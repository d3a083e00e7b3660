"""Two pictures side by side, with the regions that matter in colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.contracts import Pixels
from .sides import Side

_GAP = 12
"""Pixels between the two."""
_UNSEEN = 235
"""Grey of what there is no picture for."""
_STRENGTH = 0.8
"""How much the colour covers where it is hottest."""

_COLOURS = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float32
)
"""Five of matplotlib's *inferno*, from cold to hot, with equal steps between: ever lighter, so that
it reads the same without colour, and for eyes that see fewer of them."""


def side_by_side(a: Side, b: Side, side: int) -> Image.Image:
    """Both pictures, `side` pixels the longer side of each, on white. They are shown in grey, so
    that all colour is of the heatmap."""
    panels = [_panel(one, side) for one in (a, b)]
    height = max(panel.height for panel in panels)
    whole = Image.new("RGB", (panels[0].width + _GAP + panels[1].width, height), "white")
    left = 0
    for panel in panels:
        whole.paste(panel, (left, (height - panel.height) // 2))
        left += panel.width + _GAP
    return whole


def _panel(side: Side, longer: int) -> Image.Image:
    picture, whole = side.subject.picture, side.subject.whole
    scale = longer / max(picture.width, picture.height)
    width, height = (max(1, round(edge * scale)) for edge in (picture.width, picture.height))
    left, top, right, bottom = (round(edge * scale) for edge in side.box)
    seen = max(1, right - left), max(1, bottom - top)
    if whole is not None:
        ground = _grey(whole, (width, height))
    else:
        ground = Image.new("L", (width, height), _UNSEEN)
        ground.paste(_grey(picture.pixels, seen), (left, top))
    hottest = float(side.heatmap.max())
    share = np.maximum(side.heatmap, 0) / (hottest if hottest > 0 else 1)
    heatmap = Image.new("F", (width, height))
    heatmap.paste(Image.fromarray(share).resize(seen, Image.Resampling.BICUBIC), (left, top))
    return Image.fromarray(_coloured(np.asarray(ground, np.float32), np.asarray(heatmap)))


def _grey(pixels: Pixels, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.LANCZOS)


def _coloured(grey: NDArray[np.float32], heatmap: NDArray[np.float32]) -> Pixels:
    """(height, width) luma and heatmap, 0 to 1 (interpolation may leave that) -> RGB."""
    heatmap = np.clip(heatmap, 0, 1)
    steps = np.linspace(0, 1, len(_COLOURS))
    colour = np.stack([np.interp(heatmap, steps, channel) for channel in _COLOURS.T], axis=-1)
    cover = (_STRENGTH * heatmap**0.75)[..., None]
    return np.round(grey[..., None] * (1 - cover) + colour * cover).astype(np.uint8)

"""Drawings, and the canvas that paints them: its colours, light, shadow, noise, unsteady lines."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

from outlines import dense
from shapes import Layers, Shape, box, flat

SUPERSAMPLE = 3
SMALL, SQUARE, PORTRAIT = (320, 240), (340, 340), (300, 400)
LANDSCAPE, WIDE = (440, 330), (480, 320)
CLEAR = "#ffffff00"
PALETTE = """
    ink:#22232e coal:#3b3c4a slate:#5a6474 steel:#8f9ba8 fog:#cdd4da snow:#fcfaf5 cream:#fbf0d9
    sand:#ead2a2 straw:#eac269 sun:#ffd04a amber:#ffab2e honey:#dc9334 tangerine:#f5821f
    peach:#ffc793 clay:#b3704a rust:#c4511d brick:#a8392f tomato:#e5492f rose:#ea7191 blush:#f9cbc6
    plum:#6d2e5b grape:#3b2350 lilac:#b9a4da navy:#141d3c dusk:#33467c sea:#1c6f92 sky:#7fc4e6
    ice:#dbeef5 mint:#aadfc4 leaf:#62ae4a moss:#3c7a3c pine:#174a3c bark:#6a4630 cocoa:#402619
"""
COLOURS = dict(entry.split(":") for entry in PALETTE.split())

Frame = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Picture:
    """A drawing: its file, size and backdrop, then its layers, the farthest first."""

    name: str
    size: tuple[int, int]
    backdrop: str
    layers: Layers = ()

    def showing(self, *layers: Layers) -> Picture:
        return replace(self, layers=layers)

    def drawn(self) -> Image.Image:
        canvas = Canvas(self.size, seed=zlib.crc32(self.name.encode()))
        for shape in flat([box(self.backdrop, 0, 0, 330, 330), self.layers]):
            canvas.draw(shape)
        return canvas.finished()


def colour(name: str) -> tuple[int, ...]:
    rgb = ImageColor.getrgb(COLOURS.get(name, name))
    return rgb if len(rgb) == 4 else (*rgb, 255)


class Canvas:
    """Paints shapes at a few times the size of the picture, with a hand's unsteadiness."""

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        self.image = Image.new("RGBA", (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), CLEAR)
        self.unit = min(self.image.size) / 200
        self.random = np.random.default_rng(seed)
        self.phases = self.random.uniform(0, 2 * math.pi, 4)

    def draw(self, shape: Shape) -> None:
        if max(shape.ball, shape.tube) > 0 and not shape.clips:
            depth = min(5.0, float(np.ptp(shape.outline, axis=0).min()) / 8)
            self.draw(Shape(np.add(shape.outline, (0.6 * depth, depth)), "#10102070", soft=depth))
        outline = self._pixels(shape.outline)
        margin = 2 * shape.soft * self.unit + 2
        left, top = (int(n) for n in np.maximum(outline.min(axis=0) - margin, 0))
        right, bottom = (int(n) for n in np.minimum(outline.max(axis=0) + margin, self.image.size))
        if left >= right or top >= bottom:
            return
        frame = (left, top, right, bottom)
        tile = self._tile(shape, outline, frame)
        mask = ImageChops.multiply(self._mask(outline, frame), tile.getchannel("A"))
        if shape.soft:
            mask = mask.filter(ImageFilter.GaussianBlur(shape.soft * self.unit))
        for clip in shape.clips:
            mask = ImageChops.multiply(mask, self._mask(self._pixels(clip), frame))
        tile.putalpha(mask)
        self.image.alpha_composite(tile, (left, top))

    def finished(self) -> Image.Image:
        """The picture at its own size, with paper grain and darker corners."""
        size = (self.image.width // SUPERSAMPLE, self.image.height // SUPERSAMPLE)
        pixels = np.array(self.image.resize(size, Image.Resampling.LANCZOS), dtype=float)
        y, x = np.ogrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
        pixels[..., :3] *= (1.04 - 0.06 * (x**2 + y**2) - 0.03 * (x + y))[..., None]
        pixels[..., :3] += self._noise(size)[..., None] * 3
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        return image if pixels[..., 3].min() < 255 else image.convert("RGB")

    def _pixels(self, outline: np.ndarray) -> np.ndarray:
        """The outline in pixels, its lines wavering a little."""
        outline = dense(outline)
        x, y = outline.T
        a, b, c, d = self.phases
        x_waver = np.sin(y / 11 + a) + np.sin((x + y) / 23 + b)
        y_waver = np.sin(x / 12 + c) + np.sin((x - y) / 19 + d)
        wavering = outline + 0.45 * np.stack([x_waver, y_waver], axis=1)
        return wavering * self.unit + np.divide(self.image.size, 2)

    def _mask(self, outline: np.ndarray, frame: Frame) -> Image.Image:
        mask = Image.new("L", (frame[2] - frame[0], frame[3] - frame[1]))
        ImageDraw.Draw(mask).polygon((outline - frame[:2]).ravel().tolist(), fill=255)
        return mask

    def _tile(self, shape: Shape, outline: np.ndarray, frame: Frame) -> Image.Image:
        """The shape's paint, lit from the upper left, over a rectangle of the canvas."""
        top, bottom = (colour(name) for name in (shape.paint.split(">") * 2)[:2])
        size = (frame[2] - frame[0], frame[3] - frame[1])
        if top == bottom and not (shape.ball or shape.tube or shape.grain):
            return Image.new("RGBA", size, top)
        width, height = (max(2, min(n // 4, 400 if shape.grain else 64)) for n in size)
        low, high = outline.min(axis=0), outline.max(axis=0)
        x = np.interp(np.linspace(frame[0], frame[2], width), (low[0], high[0]), (-1, 1))
        y = np.interp(np.linspace(frame[1], frame[3], height), (low[1], high[1]), (-1, 1))[:, None]
        light = 1 + shape.ball / 100 * (0.25 - 0.42 * ((x + 0.35) ** 2 + (y + 0.4) ** 2))
        light += shape.tube / 100 * (0.2 - 0.5 * (x + 0.3) ** 2)
        if shape.grain:
            light += shape.grain / 300 * self._noise((width, height))
        fade = np.broadcast_to((y[..., None] + 1) / 2, (height, width, 1))
        pixels = np.array(top) + np.subtract(bottom, top) * fade
        pixels[..., :3] *= light[..., None]
        shine = max(0, shape.ball - 50) * 4 * np.exp(-24 * ((x + 0.42) ** 2 + (y + 0.46) ** 2))
        pixels[..., :3] += shine[..., None]
        tile = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        return tile.resize(size, Image.Resampling.BILINEAR)

    def _noise(self, size: tuple[int, int]) -> np.ndarray:
        """Fine noise over coarse, of about unit deviation."""
        noise = self.random.normal(scale=0.7, size=size[::-1])
        for step in (4, 12):
            coarse = self.random.normal(scale=0.7, size=(size[1] // step + 2, size[0] // step + 2))
            blotches = Image.fromarray(coarse.astype(np.float32))
            noise += np.asarray(blotches.resize(size, Image.Resampling.BICUBIC))
        return noise

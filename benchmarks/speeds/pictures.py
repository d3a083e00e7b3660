"""Folders of pictures to measure with: real ones, tiny drawn ones, photographs as of a camera."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..machine import ROOT, tll_root

_PER_FOLDER = 1000


@dataclass(frozen=True)
class Pictures:
    """Files, and what they are."""

    name: str
    paths: tuple[Path, ...]

    def some(self, count: int) -> Pictures:
        """About `count` of them, spread evenly; all where `count` is 0 or more than there are."""
        if not 0 < count < len(self.paths):
            return self
        chosen = np.linspace(0, len(self.paths) - 1, count).round().astype(int)
        return Pictures(self.name, tuple(self.paths[one] for one in chosen))


def real_pictures(scratch: Path) -> Pictures:
    """Totally-Looks-Like, where it is; otherwise the gallery of `make run`, drawn in `scratch`."""
    if found := sorted(tll_root().glob("t*/*/*.jpg")):
        return Pictures("Totally-Looks-Like", tuple(found))
    gallery = scratch / "gallery"
    if not gallery.exists():
        command = [sys.executable, str(ROOT / "examples/gallery"), str(gallery)]
        subprocess.run(command, check=True, capture_output=True)
    found = sorted(path for path in gallery.rglob("*.*") if path.is_file())
    return Pictures("the drawn gallery (no Totally-Looks-Like here)", tuple(found))


def copied(paths: Sequence[Path], folder: Path) -> list[Path]:
    """The files in one folder, under numbers."""
    folder.mkdir(parents=True)
    copies = [folder / f"{number:06}{path.suffix}" for number, path in enumerate(paths)]
    for path, copy in zip(paths, copies, strict=True):
        shutil.copy(path, copy)
    return copies


def draw_tiny(folder: Path, first: int, stop: int) -> None:
    """PNG files of 16 x 16 pixels, each like no other, numbers `first` to `stop`."""
    for number in range(first, stop):
        inside = folder / f"{number // _PER_FOLDER:04}"
        if number % _PER_FOLDER == 0 or number == first:
            inside.mkdir(parents=True, exist_ok=True)
        blocks = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(blocks).save(inside / f"{number:06}.png", compress_level=0)


def photograph(source: Path, width: int, height: int, seed: int) -> bytes:
    """A JPEG as a camera would make it, of a small picture: enlarged, with detail and grain at
    every scale that the enlargement left smooth."""
    generator = np.random.default_rng(seed)
    with Image.open(source) as image:
        picture = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    grain = np.zeros((height, width), np.float32)
    for scale, strength in ((1, 6), (2, 6), (4, 8), (8, 8)):
        size = -(-height // scale), -(-width // scale)
        noise = Image.fromarray(generator.normal(0, strength, size).astype(np.float32))
        grain += np.asarray(noise.resize((width, height), Image.Resampling.BILINEAR))
    pixels = np.asarray(picture, np.int16) + grain.astype(np.int16)[..., None]
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=92)
    return out.getvalue()

"""The pictures of which `make.py` makes stores, drawn from seeds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def drawn(seed: int, size: int = 64) -> Image.Image:
    """A picture like no other: blocks, and a disc over them."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((size, size), Image.Resampling.NEAREST)
    left, top, *colour = random.integers(0, 256, 5).tolist()
    at = (left * size // 512, top * size // 512)
    box = (*at, at[0] + size // 2, at[1] + size // 3)
    ImageDraw.Draw(image).ellipse(box, fill=tuple(colour))
    return image


def draw(folder: Path) -> None:
    """`photos`, what is to come into it (`more`), and pictures that are only asked with."""
    for name in ("photos/sub", "photos/private", "photos/.hidden", "more", "asked", "elsewhere"):
        (folder / name).mkdir(parents=True)
    for seed in range(14):
        drawn(seed).save(folder / f"photos/p{seed:02}.png")
    for seed in range(14, 17):
        drawn(seed).save(folder / f"photos/sub/p{seed:02}.png")
    photos = folder / "photos"
    shutil.copy(photos / "p03.png", photos / "sub/copy of p03.png")
    os.link(photos / "p04.png", photos / "sub/p04 linked.png")
    (photos / "p05 by link.png").symlink_to("p05.png")
    (photos / "elsewhere").symlink_to("../elsewhere")
    drawn(30).save(folder / "elsewhere/p30.png")
    drawn(6, 128).save(photos / "p06 large.png")
    drawn(31).save(photos / "private/p31.png")
    drawn(32).save(photos / ".hidden/p32.png")
    drawn(33).save(photos / "p33.gif")
    drawn(34).save(photos / "p34.jpg", quality=90)
    drawn(35).save(photos / "p35.webp", lossless=True)
    clear = drawn(36).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(photos / "p36 clear.png")
    deep = np.random.default_rng(37).integers(0, 1 << 14, (4, 4)).repeat(16, 0).repeat(16, 1)
    Image.fromarray(deep.astype(np.uint16)).save(photos / "p37 deep.png")
    (photos / "broken.png").write_bytes((photos / "p07.png").read_bytes()[:100])
    (photos / "none.txt").write_text("no picture")
    drawn(40).save(folder / "more/p40.png")
    drawn(41).save(folder / "more/p41 private.png")
    drawn(50).save(folder / "asked/p50.png")
    drawn(8, 96).crop((20, 10, 90, 80)).save(folder / "asked/part of p08.png")

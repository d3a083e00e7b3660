"""The row about JPEGs of cameras: decoded small where the network sees little of them."""

from __future__ import annotations

import io
from statistics import median

import numpy as np
from PIL import Image

from tll_index.core.contracts import Pixels
from tll_index.engine.images.decode import decode, from_image

from .clock import in_turn
from .findings import Finding
from .laboratory import Laboratory
from .pictures import photograph

ALIKE = 0.999
SIZES = {12: (4000, 3000), 48: (8000, 6000)}
"""Megapixels -> width and height."""


def shrink(laboratory: Laboratory) -> Finding:
    """Vectors and times of photographs, as `decode` reads them and from all their pixels."""
    count = laboratory.sizes.photographs
    sources = laboratory.pictures.some(len(SIZES) * count).paths
    figures: dict[str, float] = {}
    cosines: list[float] = []
    laboratory.progress.start("photographs", len(SIZES) * count)
    for part, (megapixels, (width, height)) in enumerate(SIZES.items()):
        taken: dict[str, list[float]] = {"with": [], "without": []}
        alike = []
        for number, source in enumerate(sources[part::2]):
            data = photograph(source, width, height, number)
            for name, times in in_turn(
                {
                    "with": lambda _, data=data: small(laboratory, data),  # type: ignore[misc]
                    "without": lambda _, data=data: whole(laboratory, data),  # type: ignore[misc]
                },
                rounds=1,
            ).items():
                taken[name] += times
            pixels = np.stack([small(laboratory, data), whole(laboratory, data)])
            one, other = laboratory.embedder.lens.transform(
                laboratory.embedder.backbone.features(pixels)
            )
            alike.append(float(one @ other))
            laboratory.progress.advance()
        with_, without = median(taken["with"]), median(taken["without"])
        figures |= {
            f"cosine_{megapixels}_megapixels": float(np.mean(alike)),
            f"least_cosine_{megapixels}_megapixels": min(alike),
            f"seconds_{megapixels}_megapixels": with_,
            f"seconds_without_{megapixels}_megapixels": without,
            f"time_saved_{megapixels}_megapixels": 1 - with_ / without,
        }
        cosines += alike
    mean = float(np.mean(cosines))
    return Finding(
        mean,
        mean >= ALIKE,
        figures,
        f"{count} JPEGs each of 12 and 48 megapixels, {laboratory.pictures.name} enlarged with "
        "detail and grain added; cosine of the lens's vectors, on average; seconds of one core",
    )


def small(laboratory: Laboratory, data: bytes) -> Pixels:
    """What the tool makes of a file."""
    return decode(data, laboratory.embedder.backbone.spec.geometry).pixels


def whole(laboratory: Laboratory, data: bytes) -> Pixels:
    """The same from all the picture's pixels: an image that is loaded has nothing left to save."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return from_image(image, laboratory.embedder.backbone.spec.geometry).pixels

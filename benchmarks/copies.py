"""How well `tll-index dupes` finds made-up copies: `python -m benchmarks.copies [--pictures 400]`.

A store of the Totally-Looks-Like pictures (with `--store`, one that is there) is asked with changed
copies of some of them, as `dupes` does it: is the original among the copy's candidates, and do
their details agree? For each kind of change: the share of copies that are found, at several
thresholds. Then how many pairs of the collection's own pictures are joined at each, among them
those that people called look-alikes: of these hardly any are the same picture.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tll_index import Store, build
from tll_index.config import load_settings
from tll_index.engine.decode import decode
from tll_index.engine.outlines import GEOMETRY, likeness, likeness_of_parts, outline
from tll_index.engine.tll import read_pairs
from tll_index.errors import TllError
from tll_index.indexer.duplicates import (
    LEAST_COSINE,
    LEAST_COSINE_OF_PARTS,
    NEIGHBOURS,
    SAME,
    dupes,
)
from tll_index.indexer.report import Progress
from tll_index.rendering.progress import Bars

from .machine import RESULTS, machine, require_tll
from .written import write

THRESHOLDS = (0.80, 0.85, 0.90, SAME, 0.94, 0.96)


def saved(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """The same in another size."""
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """What is left after cutting these shares off its sides."""
    width, height = image.size
    edges = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return image.crop((round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3])))


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG, quality 75": lambda image: saved(image, quality=75),
    "JPEG, quality 50": lambda image: saved(image, quality=50),
    "JPEG, quality 30": lambda image: saved(image, quality=30),
    "JPEG, quality 15": lambda image: saved(image, quality=15),
    "WebP, quality 60": lambda image: saved(image, "WEBP", quality=60),
    "twice the size": lambda image: saved(scaled(image, 2), quality=85),
    "half the size": lambda image: saved(scaled(image, 1 / 2), quality=85),
    "a third of the size": lambda image: saved(scaled(image, 1 / 3), quality=85),
    "brighter": lambda image: saved(image.point(lambda v: min(255, int(1.15 * v + 8)))),
    "grey": lambda image: saved(image.convert("L"), quality=85),
    "1% cut off each side": lambda image: saved(cut(image, *4 * (0.01,)), quality=85),
    "3% cut off each side": lambda image: saved(cut(image, *4 * (0.03,)), quality=85),
    "5% cut off each side": lambda image: saved(cut(image, *4 * (0.05,)), quality=85),
    "10% cut off each side": lambda image: saved(cut(image, *4 * (0.1,)), quality=85),
    "15% cut off one side": lambda image: saved(cut(image, 0, 0, 0.15, 0), quality=85),
    "20% cut off the top": lambda image: saved(cut(image, 0, 0.2, 0, 0), quality=85),
    "mirrored": lambda image: saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=85),
}


class Collection:
    """The store's pictures: what a copy is held against."""

    def __init__(self, store: Store) -> None:
        self.embedder = store.embedder
        with store.catalog.reading() as reader:
            numbers = reader.image_numbers()
            self.paths = [reader.paths_of(int(number))[0] for number in numbers]
            self.looks = self.embedder.lens.looks_of(reader.vectors(numbers))

    def found(self, row: int, copy: bytes) -> float:
        """How well a copy of picture `row` agrees with it; 0 where it would not be compared."""
        pixels = decode(copy, self.embedder.backbone.spec.geometry).pixels[None]
        cosines = self.looks @ self.embedder.looks(pixels)[0]
        own = cosines[row]
        if (cosines > own).sum() >= NEIGHBOURS or own < LEAST_COSINE:
            return 0.0
        original = decode(Path(self.paths[row].decode()).read_bytes(), GEOMETRY)
        other = decode(copy, GEOMETRY)
        sides = outline(original.pixels)[None], outline(other.pixels)[None]
        stretch = other.width / other.height / (original.width / original.height)
        agreed = likeness(*sides)[0]
        if own >= LEAST_COSINE_OF_PARTS:
            agreed = max(agreed, likeness_of_parts(*sides, np.array([stretch]))[0])
        return float(agreed)


def recall(collection: Collection, rows: NDArray[np.int64], progress: Progress) -> dict[str, Any]:
    """For each kind of change, the share of copies that are found at each threshold."""
    found = {}
    progress.starting("copies", len(rows) * len(CHANGES), "pictures")
    for name, change in CHANGES.items():
        agreed = []
        for row in rows.tolist():
            with Image.open(Path(collection.paths[row].decode())) as image:
                agreed.append(collection.found(row, change(image.convert("RGB"))))
            progress.advanced(1)
        found[name] = {f"{one:.2f}": float(np.mean(np.array(agreed) >= one)) for one in THRESHOLDS}
    return found


def joined(store: Path, pairs: set[frozenset[str]], progress: Progress) -> dict[str, Any]:
    """At each threshold: files that are said to be the same as a better one, and how many
    look-alikes of people are joined."""
    groups = dupes(store, threshold=THRESHOLDS[0], progress=progress)
    found = {}
    for threshold in THRESHOLDS:
        files = [
            {copy.path for copy in group.copies if copy.likeness >= threshold} for group in groups
        ]
        found[f"{threshold:.2f}"] = {
            "files": sum(len(some) - 1 for some in files),
            "look_alikes_joined": sum(pair <= some for pair in pairs for some in files),
        }
    return found


def table(result: dict[str, Any]) -> Iterator[str]:
    """What was found, in Markdown."""
    head = [f"{one:.2f}" for one in THRESHOLDS]
    yield f"{result['pictures']} pictures among {result['collection']:,}; the default is {SAME}."
    yield ""
    yield "| copies found | " + " | ".join(head) + " |"
    yield "|---" + "|--:" * len(head) + "|"
    for name, shares in result["recall"].items():
        yield f"| {name} | " + " | ".join(f"{shares[one]:.3f}" for one in head) + " |"
    for what in ("files", "look_alikes_joined"):
        counts = (str(result["joined"][one][what]) for one in head)
        yield f"| *{what.replace('_', ' ')}* | " + " | ".join(counts) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=int, default=400, help="how many (default 400)")
    parser.add_argument("--store", type=Path, help="of all pictures; default: built for this")
    parser.add_argument("--out", type=Path, default=RESULTS / "copies.json")
    arguments = parser.parse_args()
    root = require_tll()
    data = read_pairs(root)
    pairs = {frozenset(map(str, pair)) for pair in zip(data.left, data.right, strict=True)}
    try:
        with tempfile.TemporaryDirectory() as scratch, Bars() as progress:
            path = arguments.store or Path(scratch) / "store"
            if arguments.store is None:
                build([root / "train", root / "test"], store=path, progress=progress)
            with Store.open(path, settings=load_settings()) as store:
                collection = Collection(store)
            rows = np.random.default_rng(0).permutation(len(collection.paths))
            rows = rows[: arguments.pictures]
            result = {
                "machine": machine(),
                "pictures": len(rows),
                "collection": len(collection.paths),
                "recall": recall(collection, rows, progress),
                "joined": joined(path, pairs, progress),
            }
    except TllError as error:
        sys.exit(str(error))
    write(result, arguments.out)
    print("\n".join(table(result)))


if __name__ == "__main__":
    main()

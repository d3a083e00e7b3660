"""Looking at a store from outside, in a child: what it holds, whether it is sound, what it answers.

All that is returned is JSON.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tll_index import Lens, Store
from tll_index.core.errors import TllError
from tll_index.indexer.catalog.base import Reader

QUIET = 0.002
"""Seconds between two looks of `watch`."""


def images_of(reader: Reader) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Digest and paths of each image, by number, from both directions of the catalog."""
    paths: dict[int, list[str]] = {}
    for number, folder in reader.folders():
        for name, place in reader.entries_in(number).items():
            paths.setdefault(place.image, []).append(os.fsdecode(os.path.join(folder, name)))
    digests = {}
    for number in reader.image_numbers().tolist():
        record = reader.image(number)
        digests[number] = "" if record is None else record.sha256
    return digests, paths


def examine(store: str, at_most: int = 200) -> dict[str, Any]:
    """Everything that must hold of a store between two commands.

    Args:
        at_most: so many of the images are asked for with their own vectors.

    Returns:
        'images': digest -> sorted paths; 'problems': lines.
    """
    problems: list[str] = []
    with Store.open(store) as opened:
        with opened.catalog.reading() as reader:
            digests, paths = images_of(reader)
            problems += _consistent(reader, digests, paths)
            numbers = np.array(sorted(digests), np.int64)
            vectors = reader.vectors(numbers)
            orphans = reader.orphans
            shown = {number for number in digests if number in paths}
            if len(digests) - len(shown) != orphans:
                problems.append(
                    f"{len(digests) - len(shown)} images without a path, {orphans} said"
                )
        if len(numbers):
            if vectors.shape[1] != opened.about.dimension:
                problems.append(f"vectors of {vectors.shape[1]}, not {opened.about.dimension}")
            lengths = np.linalg.norm(vectors, axis=1)
            if not np.allclose(lengths, 1, atol=1e-4):
                problems.append(f"{int((abs(lengths - 1) > 1e-4).sum())} vectors not of length 1")
        step = max(1, -(-len(numbers) // at_most))
        for number, vector in list(zip(numbers.tolist(), vectors, strict=True))[::step]:
            if number not in shown:
                continue
            hits = opened.search(vector, 5)
            scores = {path: hit.score for hit in hits for path in hit.paths}
            if scores.get(min(paths[number]), 0) < 0.9999:
                problems.append(f"image {number} does not find itself: {hits[:1]}")
        problems += _verified(opened)
    found = {digests[number]: sorted(paths.get(number, [])) for number in digests}
    return {"images": found, "problems": problems}


def _consistent(reader: Reader, digests: dict[int, str], paths: dict[int, list[str]]) -> list[str]:
    problems = []
    for digest, count in Counter(digests.values()).items():
        if count > 1 or not digest:
            problems.append(f"{count} images with digest {digest[:12] or 'unknown'}")
    for number, digest in digests.items():
        if digest and reader.image_of(bytes.fromhex(digest)) != number:
            problems.append(f"the digest of image {number} leads elsewhere")
        if sorted(map(os.fsdecode, reader.paths_of(number))) != sorted(paths.get(number, [])):
            problems.append(f"image {number} names other paths than name it")
    if unknown := sorted(set(paths) - set(digests)):
        problems.append(f"paths show images that are not there: {unknown[:5]}")
    return problems


def _verified(opened: Store) -> list[str]:
    import tll_index

    verify = getattr(tll_index, "verify", None)
    if verify is None:
        return []
    found = verify(opened.path, deep=True)
    return [f"verify: {one.part}: {one.what}" for one in found.findings]


def indexed(store: str) -> dict[str, Any]:
    """Whether the FAISS file is whole, and holds what the catalog holds."""
    from tll_index.indexer.vector_index import faiss_file as vectors

    with Store.open(store) as opened:
        about = opened.about
        file = vectors.load(opened.path / "vectors.faiss", about.id, about.dimension)
        with opened.catalog.reading() as reader:
            images, generation = reader.images, reader.generation
        if file is None:
            return {"whole": False, "covers": False, "kind": ""}
        covers = (file.notes.images, file.covered.generation) == (images, generation)
        return {"whole": True, "covers": covers, "kind": file.notes.factory}


def answers(store: str, asks: str, k: int = 10) -> list[list[list[Any]]]:
    """What each row of the .npy file `asks` is answered: [path, score] of each hit."""
    with Store.open(store) as opened:
        return [
            [[list(hit.paths), round(hit.score, 5)] for hit in opened.search(ask, k)]
            for ask in np.load(asks)
        ]


def vectors_of(store: str, out: str) -> int:
    """Write all vectors of a store as .npy, in order of number; how many."""
    with Store.open(store) as opened, opened.catalog.reading() as reader:
        vectors = reader.vectors(reader.image_numbers())
    np.save(out, vectors)
    return len(vectors)


def make_lens(out: str) -> None:
    """A lens for the tiny backbone, that was not trained but does something."""
    matrix = np.random.default_rng(5).normal(size=(12, 16)).astype(np.float32)
    Lens("tiny", 16, adaptation=matrix).save(out)


def watch(store: str, seen: str, ready: str) -> None:
    """Until it is killed: write each state of the store that is committed, as it is seen, as a line
    of digests into the file `seen`. What is in there was committed, whatever happened then."""
    last: tuple[bytes, int] | None = None
    with open(seen, "a") as out:
        Path(ready).touch()
        while True:
            try:
                with Store.open(store) as opened, opened.catalog.reading() as reader:
                    now = opened.about.id, reader.generation
                    if now != last:
                        digests = images_of(reader)[0].values()
                        out.write(" ".join(["=", *sorted(digests)]) + " .\n")
                        out.flush()
                        last = now
            except TllError:
                pass
            time.sleep(QUIET)


def states(seen: Path) -> list[set[str]]:
    """What `watch` wrote: digests, state by state; a line that was cut off does not count."""
    if not seen.exists():
        return []
    lines = seen.read_text().splitlines()
    return [set(line.split()[1:-1]) for line in lines if line.endswith(" .")]


def on_disk(folder: Path) -> dict[str, list[str]]:
    """Digest -> sorted absolute paths of the files in a folder."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.png")):
        found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), []).append(str(path))
    return found

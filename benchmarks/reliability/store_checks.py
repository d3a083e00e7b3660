"""A store seen from outside, in a child: what it holds, whether it is sound, what it finds, also
while others change it.

All that is returned is JSON.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
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
        for name, entry in reader.entries_in(number).items():
            paths.setdefault(entry.image, []).append(os.fsdecode(os.path.join(folder, name)))
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


def search_all(store: str, queries: str, k: int = 10) -> list[list[list[Any]]]:
    """What each row of the .npy file `asks` is answered: [path, score] of each hit."""
    with Store.open(store) as opened:
        return [
            [[list(hit.paths), round(hit.score, 5)] for hit in opened.search(query, k)]
            for query in np.load(queries)
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


_MOST = 1000
"""Hits that are asked for: all."""


def keep_querying(
    store: str,
    known: Sequence[str],
    doomed: Sequence[str],
    gone: str,
    stop: str,
    stay: bool,
    seed: int,
) -> dict[str, Any]:
    """Ask until the file `stop` is there.

    Args:
        known: paths that there are.
        doomed: those of them that will be removed; they are when the file `gone` is there.
        stay: keep the store open all the time; otherwise open it for each question.
    """
    chance = np.random.default_rng(seed)
    wrong: list[str] = []
    problems: list[str] = []
    queried = 0
    kept = Store.open(store) if stay else None
    while not (last := Path(stop).exists()) or not queried:
        opened = kept
        try:
            opened = opened or Store.open(store)
            may_be = set(known) - set(doomed if Path(gone).exists() else ())
            wrong += _query_once(opened, may_be, set(doomed), chance)
            queried += 1
        except TllError as error:
            problems.append(f"{type(error).__name__}: {error}")
        except Exception as error:
            problems.append(f"unexpected {error!r}")
        finally:
            if opened is not None and opened is not kept:
                opened.close()
        if last or len(wrong) + len(problems) > 5:
            break
        time.sleep(random.Random(seed).uniform(0, 0.002))
    if kept is not None:
        kept.close()
    return {"queried": queried, "wrong": wrong[:5], "problems": problems[:5]}


def _query_once(
    opened: Store, may_be: set[str], doomed: set[str], chance: np.random.Generator
) -> list[str]:
    query = chance.normal(size=opened.about.dimension).astype(np.float32)
    query /= np.linalg.norm(query)
    before = _paths(opened)
    hits = opened.search(query, _MOST)
    found = [path for hit in hits for path in hit.paths]
    wrong = []
    if len(found) != len(set(found)):
        wrong.append("a path is found twice")
    if unknown := set(found) - may_be:
        wrong.append(f"paths that are not there: {sorted(unknown)[:3]}")
    if missing := before - set(found) - doomed:
        wrong.append(f"{len(missing)} of {len(before)} pictures that were there: {min(missing)}")
    scores = [hit.score for hit in hits]
    if scores != sorted(scores, reverse=True):
        wrong.append("hits are not best first")
    return wrong


def _paths(opened: Store) -> set[str]:
    with opened.catalog.reading() as reader:
        return {
            os.fsdecode(path)
            for number in reader.image_numbers().tolist()
            for path in reader.paths_of(number)
        }


def open_and_wait(store: str, ready: str) -> None:
    """Hold a store open, reading, until killed."""
    with Store.open(store) as opened, opened.catalog.reading():
        Path(ready).touch()
        time.sleep(600)

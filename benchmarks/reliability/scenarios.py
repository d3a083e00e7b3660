"""What a store goes through when a fault strikes: folders before, the command, what may be gone.

Each has a tree of its own: `photos`, `store`, sometimes `copy`; made once, copied for every trial.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .fork_server import ForkServer
from .store_checks import on_disk

PICTURES = 24
"""Of a tree; with batches of four, six transactions and what is around them."""

BUILD = ("build", "photos", "--store", "store", "--backbone", "tiny", "--batch-size", "4", "-q")
AGAIN = ("build", "--store", "store", "--batch-size", "4", "-q")


@dataclass(frozen=True)
class Scene:
    """A command on a store, in its circumstances."""

    name: str
    arrange: Callable[[Path, random.Random], tuple[str, ...]]
    """Changes the tree before, and returns the command."""
    has_store: bool = True
    """Whether there is a store before."""
    settles: tuple[str, ...] = AGAIN
    """The command after which all is as it should be; the same once more where it builds."""
    needs: str = ""
    """The command of tll-index without which there is no such scene."""


def picture(seed: int) -> Image.Image:
    """A picture like no other."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((40, 30), Image.Resampling.NEAREST)


def make_tree(
    folder: Path,
    server: ForkServer,
    pictures: int = PICTURES,
    first: int = 0,
    more: tuple[str, ...] = (),
) -> Path:
    """A tree with a store of its photos.

    Args:
        first: number of its first picture: others are other pictures.
        more: options of the build.

    Raises:
        RuntimeError: it can't be built.
    """
    for number in range(pictures):
        path = folder / "photos" / f"album{number % 3}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(first + number).save(path)
    ended = server.run(*BUILD, *more, folder=folder)
    if ended.code:
        raise RuntimeError(f"a store can't be built here: {ended.err}")
    return folder


def make_lens_file(server: ForkServer, folder: Path) -> Path:
    """A lens for the tiny backbone, in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    server.call("store_checks:make_lens", out=str(folder / "made.npz"))
    return folder / "made.npz"


def copied(tree: Path, folder: Path, *, with_store: bool = True) -> Path:
    """A copy of a tree with all its times."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = None if with_store else shutil.ignore_patterns("store")
    return Path(shutil.copytree(tree, folder, ignore=ignored))


def _first(tree: Path, chance: random.Random) -> tuple[str, ...]:
    return BUILD


def _update(tree: Path, chance: random.Random) -> tuple[str, ...]:
    """Something of everything: changed, gone, renamed, moved, new, copied, swapped."""
    paths = sorted((tree / "photos").rglob("*.png"))
    chance.shuffle(paths)
    for path in paths[:3]:
        _change(path, chance)
    for path in paths[3:6]:
        path.unlink()
    for path in paths[6:9]:
        path.rename(path.with_name(f"renamed-{path.name}"))
    (tree / "photos" / "moved").mkdir()
    for path in paths[9:12]:
        path.rename(tree / "photos" / "moved" / path.name)
    for number in range(6):
        picture(chance.randrange(1000, 1 << 30)).save(tree / "photos" / f"new{number}.png")
    shutil.copy(paths[12], tree / "photos" / "copy.png")
    a, b = paths[13:15]
    a.rename(other := a.with_name("other"))
    b.rename(a)
    other.rename(b)
    for path in (a, b):
        os.utime(path, ns=(1, chance.randrange(1 << 60)))
    return AGAIN


def _change(path: Path, chance: random.Random) -> None:
    picture(chance.randrange(1000, 1 << 30)).save(path)
    os.utime(path, ns=(1, chance.randrange(1 << 60)))


def _remove(tree: Path, chance: random.Random) -> tuple[str, ...]:
    paths = sorted((tree / "photos").rglob("*.png"))
    for path in chance.sample(paths, 3 * len(paths) // 4):
        path.unlink()
    return AGAIN


def _index(kind: str) -> Callable[[Path, random.Random], tuple[str, ...]]:
    def arrange(tree: Path, chance: random.Random) -> tuple[str, ...]:
        for number in range(2):
            picture(chance.randrange(1000, 1 << 30)).save(tree / "photos" / f"new{number}.png")
        return (*AGAIN, "--index", kind)

    return arrange


def _forget(tree: Path, chance: random.Random) -> tuple[str, ...]:
    """Files that are gone from the disk as well: a build would index them again."""
    paths = chance.sample(sorted((tree / "photos").rglob("*.png")), 4)
    for path in paths:
        path.unlink()
    return ("forget", "--store", "store", *map(str, paths))


def _repair(tree: Path, chance: random.Random) -> tuple[str, ...]:
    """The index is torn, store.json gone."""
    file = tree / "store" / "vectors.faiss"
    os.truncate(file, chance.randrange(file.stat().st_size))
    (tree / "store" / "store.json").unlink()
    return ("repair", "--store", "store")


def _backup(tree: Path, chance: random.Random) -> tuple[str, ...]:
    return ("backup", "copy", "--store", "store")


SCENES = (
    Scene("build", _first, has_store=False, settles=BUILD),
    Scene("update", _update),
    Scene("remove", _remove),
    Scene("index ivf", _index("ivf"), settles=(*AGAIN, "--index", "ivf")),
    Scene("index hnsw", _index("hnsw"), settles=(*AGAIN, "--index", "hnsw")),
    Scene("index flat", _index("flat"), settles=(*AGAIN, "--index", "flat")),
    Scene("forget", _forget, needs="forget"),
    Scene("repair", _repair, needs="repair"),
    Scene("backup", _backup, needs="backup"),
)


def scenes_here(server: ForkServer, folder: Path) -> tuple[list[Scene], list[str]]:
    """The scenes whose commands this version has, and the names of the others."""
    known = {
        name: server.run(name, "--help", folder=folder).code == 0
        for name in {scene.needs for scene in SCENES if scene.needs}
    }
    here = [scene for scene in SCENES if not scene.needs or known[scene.needs]]
    return here, [scene.name for scene in SCENES if scene not in here]


def contents(tree: Path) -> dict[str, list[str]]:
    """Digest -> paths of what is on the disk."""
    return on_disk(tree / "photos")

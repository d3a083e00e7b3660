"""What forged files share: damage by chance, bombs, code that leaves a mark where it is run."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

BOMB = 400 << 20
"""Bytes that a small file unpacks to, or claims to: more than anybody may take for it."""

Forgery = Callable[[Path, bytes, random.Random, Path], None]
"""Write a file: where, the bytes of a good one, chance, and the marker that nobody may make."""


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = os.fspath(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch '{self._marker}'",))


def members(data: bytes) -> dict[str, bytes]:
    """What an archive holds, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def bare_pickle(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """A pickle that is nothing else."""
    path.write_bytes(pickle.dumps(Evil(marker)))


def flipped(data: bytes, chance: random.Random) -> bytes:
    """With one to eight bits flipped."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        bit = chance.randrange(8 * len(changed))
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def mutated(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """Bits flipped, cut off, a part doubled, zeroed or noise: more often near the start."""
    kind = chance.randrange(6)
    start = chance.randrange(min(len(data), 600)) if chance.random() < 0.6 else None
    at = chance.randrange(len(data)) if start is None else start
    length = chance.choice((1, 4, 64, 512))
    if kind < 2:
        new = flipped(data, chance)
    elif kind == 2:
        new = data[:at]
    elif kind == 3:
        new = data[:at] + data[at : at + length] + data[at:]
    elif kind == 4:
        new = data[:at] + bytes(len(data[at : at + length])) + data[at + length :]
    else:
        new = data[:at] + chance.randbytes(len(data[at : at + length])) + data[at + length :]
    path.write_bytes(new)

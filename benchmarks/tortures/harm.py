"""Ways in which a file goes bad: torn, cut, bits flipped, zeroed, lost, mixed up with another."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SECTOR, PAGE = 512, 4096


@dataclass(frozen=True)
class Others:
    """Files of the same name that are not this store's of now."""

    stranger: Path
    """A folder with the store of other pictures."""
    older: Path
    """A folder with this store as it was before."""


Way = Callable[[Path, random.Random, Others], str]
"""Does harm to a file, by chance, and says what, in a few words."""


def harm(file: Path, chance: random.Random, others: Others) -> str:
    """Do one of all kinds of harm to a file, and say what."""
    return chance.choice(WAYS)(file, chance, others)


def _cut(file: Path, chance: random.Random, others: Others) -> str:
    size = file.stat().st_size
    left = chance.choice((0, 1, size // 2, size - 1, chance.randrange(size + 1)))
    if chance.random() < 0.3:
        left = left // PAGE * PAGE
    os.truncate(file, max(0, left))
    return f"cut to {max(0, left)} of {size} bytes"


def _flip(file: Path, chance: random.Random, others: Others) -> str:
    data = bytearray(file.read_bytes())
    if not data:
        return _append(file, chance, others)
    bits = [chance.randrange(8 * len(data)) for _ in range(chance.choice((1, 1, 1, 8)))]
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    _overwrite(file, data)
    return f"bits {', '.join(map(str, bits))} flipped"


def _near_start(file: Path, chance: random.Random, others: Others) -> str:
    """Where what a file says of itself is."""
    data = bytearray(file.read_bytes())
    if not data:
        return _append(file, chance, others)
    at = chance.randrange(min(len(data), 2 * PAGE if chance.random() < 0.5 else 200))
    data[at] = chance.randrange(256)
    _overwrite(file, data)
    return f"byte {at} is {data[at]}"


def _zeros(file: Path, chance: random.Random, others: Others) -> str:
    return _fill(file, chance, lambda length: bytes(length), "zeroed")


def _noise(file: Path, chance: random.Random, others: Others) -> str:
    return _fill(file, chance, chance.randbytes, "is noise")


def _fill(file: Path, chance: random.Random, what: Callable[[int], bytes], word: str) -> str:
    data = bytearray(file.read_bytes())
    length = chance.choice((16, SECTOR, PAGE, 3 * PAGE, len(data)))
    step = max(1, min(length, SECTOR))
    at = chance.randrange(max(1, len(data) - length + 1)) // step * step
    part = what(len(data[at : at + length]))
    data[at : at + length] = part
    _overwrite(file, data)
    return f"{len(part)} bytes from {at} on {word}"


def _torn(file: Path, chance: random.Random, others: Others) -> str:
    """Its end is that of an older one, as if a write had stopped half-way."""
    old, data = (others.older / file.name), bytearray(file.read_bytes())
    if not old.is_file():
        return _zeros(file, chance, others)
    at = chance.randrange(len(data) + 1) // SECTOR * SECTOR
    _overwrite(file, bytes(data[:at]) + old.read_bytes()[at:])
    return f"from byte {at} on as it was before"


def _misplaced(file: Path, chance: random.Random, others: Others) -> str:
    """One page is where another should be."""
    data = bytearray(file.read_bytes())
    pages = len(data) // PAGE
    if pages < 2:
        return _flip(file, chance, others)
    here, there = chance.sample(range(pages), 2)
    data[there * PAGE : (there + 1) * PAGE] = data[here * PAGE : (here + 1) * PAGE]
    _overwrite(file, data)
    return f"page {there} is a copy of page {here}"


def _append(file: Path, chance: random.Random, others: Others) -> str:
    with file.open("ab") as out:
        out.write(part := chance.randbytes(chance.choice((1, 100, PAGE))))
    return f"{len(part)} bytes more"


def _garbage(file: Path, chance: random.Random, others: Others) -> str:
    size = chance.choice((0, 10, file.stat().st_size))
    _overwrite(file, chance.randbytes(size))
    return f"{size} bytes of garbage"


def _lost(file: Path, chance: random.Random, others: Others) -> str:
    file.unlink()
    return "lost"


def _folder(file: Path, chance: random.Random, others: Others) -> str:
    file.unlink()
    file.mkdir()
    return "a folder"


def _stranger(file: Path, chance: random.Random, others: Others) -> str:
    return _replaced(file, others.stranger / file.name, "that of another store")


def _older(file: Path, chance: random.Random, others: Others) -> str:
    return _replaced(file, others.older / file.name, "an older copy of itself")


def _replaced(file: Path, other: Path, what: str) -> str:
    if not other.is_file():
        file.unlink()
        return "lost"
    shutil.copy2(other, file)
    return what


def _overwrite(file: Path, data: bytes | bytearray) -> None:
    file.write_bytes(bytes(data))


WAYS: tuple[Way, ...] = (
    *(_cut, _cut, _flip, _flip, _flip, _flip, _near_start, _near_start, _zeros, _noise),
    *(_torn, _misplaced, _append, _garbage, _lost, _folder, _stranger, _older),
)
"""Bits flip most often."""

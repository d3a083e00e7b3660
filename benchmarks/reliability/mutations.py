"""Valid pictures -> malformed ones: bytes, lengths, counts and parts that are not what they should
be. The same seed gives the same file."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .picture_files import Part, apart, together, valid

_EXTREMES = (0, 1, 2, 3, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
_MANY = 10_000


@dataclass(frozen=True)
class Hostile:
    """A file that may not be a picture."""

    kind: str
    """Of malice, for the report."""
    name: str
    """Which picture it was made of, or what it is."""
    data: bytes


def mutated(count: int, seed: int) -> Iterator[Hostile]:
    """`count` malformed pictures, of every format and mutation alike."""
    names, kinds = sorted(valid()), sorted(MUTATIONS)
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        name, kind = names[number % len(names)], chance.choice(kinds)
        data = MUTATIONS[kind](valid()[name], chance)
        if chance.random() < 0.2:  # one does not always come alone
            data = MUTATIONS[chance.choice(kinds)](data, chance)
        yield Hostile(kind, name, data)


def _bits(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64)) if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _early_bits(data: bytes, chance: random.Random) -> bytes:
    """In headers, where they do most."""
    end = chance.choice((32, 128, 512))
    return _bits(data[:end], chance) + data[end:]


def _field(data: bytes, chance: random.Random) -> bytes:
    """A number that is as large, small or odd as can be."""
    size, order = chance.choice((1, 2, 4, 8)), chance.choice("<>")
    if len(data) <= size:
        return data
    at = chance.randrange(min(len(data) - size, chance.choice((40, 200, 2000))))
    value = chance.choice((*_EXTREMES, len(data), len(data) - 1, -1, chance.getrandbits(32)))
    letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
    packed = struct.pack(order + letter, value & (256**size - 1))
    return data[:at] + packed + data[at + size :]


def _range(data: bytes, chance: random.Random) -> tuple[int, int]:
    first = chance.randrange(len(data) + 1)
    length = chance.choice((1, 4, 16, 256, len(data) // 2))
    return first, min(len(data), first + chance.randint(0, max(1, length)))


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _deleted(data: bytes, chance: random.Random) -> bytes:
    first, end = _range(data, chance)
    return data[:first] + data[end:]


def _doubled(data: bytes, chance: random.Random) -> bytes:
    first, end = _range(data, chance)
    return data[:end] + data[first:end] * chance.choice((1, 1, 2, 50)) + data[end:]


def _spliced(data: bytes, chance: random.Random) -> bytes:
    """A range of another picture, in place of one of this."""
    other = valid()[chance.choice(sorted(valid()))]
    first, end = _range(data, chance)
    there, to = _range(other, chance)
    return data[:first] + other[there:to] + data[end:]


def _noise(data: bytes, chance: random.Random) -> bytes:
    first, end = _range(data, chance)
    filler = chance.choice((b"\0", b"\xff", b"\x80"))
    noise = chance.choice((chance.randbytes(end - first), filler * (end - first)))
    return data[:first] + noise + data[end:]


def _of_parts(
    change: Callable[[list[Part], random.Random], list[Part]],
) -> Callable[[bytes, random.Random], bytes]:
    """The change of a file's parts as one of the file; a file without parts gets a wrong field."""

    def work(data: bytes, chance: random.Random) -> bytes:
        if not (parts := apart(data)):
            return _entry(data, chance)
        return together(change(parts, chance), data)

    return work


def _inside(
    change: Callable[[bytes, random.Random], bytes],
) -> Callable[[bytes, random.Random], bytes]:
    """The change of the bytes of one part as one of the file, whose checksum is right."""

    @_of_parts
    def work(parts: list[Part], chance: random.Random) -> list[Part]:
        at = chance.randrange(len(parts))
        parts[at] = replace(parts[at], body=change(parts[at].body, chance))
        return parts

    return work


def _entry(data: bytes, chance: random.Random) -> bytes:
    """Another type, count or value in a TIFF directory; elsewhere a wrong field."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 10:
        return _field(data, chance)
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    if directory + 2 > len(data):
        return _field(data, chance)
    (entries,) = struct.unpack_from(f"{order}H", data, directory)
    at = directory + 2 + 12 * chance.randrange(max(1, entries))
    offset, letter = chance.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I")))
    size = struct.calcsize(letter)
    if at + offset + size > len(data):
        return _field(data, chance)
    value = chance.choice((*_EXTREMES, 4, 5, 12, 13, directory, len(data), -1))
    packed = struct.pack(order + letter, value & (256**size - 1))
    return data[: at + offset] + packed + data[at + offset + size :]


@_of_parts
def _part_length(parts: list[Part], chance: random.Random) -> list[Part]:
    """A part that is not as long as it says."""
    at = chance.randrange(len(parts))
    true = len(parts[at].body)
    parts[at] = replace(parts[at], lies=chance.choice((*_EXTREMES, true - 1, true + 1, 2**32 - 8)))
    return parts


@_of_parts
def _part_gone(parts: list[Part], chance: random.Random) -> list[Part]:
    at = chance.randrange(len(parts))
    return parts[:at] + parts[at + 1 :]


@_of_parts
def _parts_shuffled(parts: list[Part], chance: random.Random) -> list[Part]:
    first, second = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[first], parts[second] = parts[second], parts[first]
    return parts


@_of_parts
def _part_again(parts: list[Part], chance: random.Random) -> list[Part]:
    at = chance.randrange(len(parts))
    return parts[:at] + [parts[at]] * chance.choice((2, 3, 300)) + parts[at + 1 :]


@_of_parts
def _part_many_times(parts: list[Part], chance: random.Random) -> list[Part]:
    """10,000 times, or a megabyte's worth of it."""
    at = chance.randrange(len(parts))
    times = min(_MANY, (1 << 20) // (len(parts[at].body) + 12) + 1)
    return parts[:at] + [parts[at]] * times + parts[at:]


@_of_parts
def _samples(parts: list[Part], chance: random.Random) -> list[Part]:
    """PNG: other rows, packed as they should be. Others: noise in the largest part."""
    at = max(range(len(parts)), key=lambda at: len(parts[at].body))
    body = parts[at].body
    try:
        rows = zlib.decompress(body)
    except zlib.error:
        return [*parts[:at], replace(parts[at], body=_noise(body, chance)), *parts[at + 1 :]]
    rows = chance.choice((_bits, _cut, _doubled, _noise))(rows, chance)
    return [*parts[:at], replace(parts[at], body=zlib.compress(rows)), *parts[at + 1 :]]


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bits": _bits,
    "early bits": _early_bits,
    "field": _field,
    "cut": _cut,
    "deleted range": _deleted,
    "doubled range": _doubled,
    "spliced": _spliced,
    "noise": _noise,
    "directory entry": _entry,
    "field of a part": _inside(_field),
    "bits of a part": _inside(_bits),
    "length of a part": _part_length,
    "part cut": _inside(_cut),
    "part gone": _part_gone,
    "parts shuffled": _parts_shuffled,
    "part again": _part_again,
    "part 10,000 times": _part_many_times,
    "other samples": _samples,
}
"""By name: a picture's bytes and chance -> malformed bytes."""

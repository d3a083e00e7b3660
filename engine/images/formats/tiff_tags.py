"""What a TIFF's directories say; the same file without the tags that pixels don't need."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_NEEDED = frozenset(
    (
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        284,
        292,
        293,
        297,
        317,
        320,
        322,
        323,
        324,
        325,
        338,
        339,
        347,
        529,
        530,
        531,
        532,
        42113,
    )
)
"""Tags that decide what the pixels are."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_MOST_DIRECTORIES = 32
_MOST_VALUES = 64
_MOST_ENTRIES = 4096

COMPRESSIONS = {
    22610: "JPEG XR",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    34933: "PNG",
    34934: "JPEG XR",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    34892: "lossy JPEG",
}
"""Those that not every library is built with."""


@dataclass
class Directory:
    """One directory of a TIFF."""

    values: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Of the tags with whole numbers, the first 64."""

    def one(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return next(iter(self.values.get(tag, ())), default)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.one(256), self.one(257)

    def is_sound(self, file_bytes: int) -> bool:
        """Whether it describes pixels that are in a file of so many bytes."""
        first = self.one(324) or self.one(273)
        return min(self.size) > 0 and 0 < first < file_bytes and 0 < self.one(277, 1) <= 64

    @property
    def is_unusual(self) -> bool:
        """Whether what Pillow opens may be whole though it can't decode it: compression, planes."""
        return self.one(259, 1) in COMPRESSIONS or self.one(284, 1) == 2

    @property
    def is_misread(self) -> bool:
        """Whether Pillow (13.0) makes noise of it without a word: planes of 16 bits, unpacked."""
        is_planar = self.one(284, 1) == 2 and self.one(277) > 1
        return is_planar and (self.one(258), self.one(259, 1)) == (16, 1)

    @property
    def described(self) -> str:
        """Its samples and compression, in words."""
        number = {1: "", 2: " signed", 3: " float", 5: " complex", 6: " complex float"}
        kind = number.get(self.one(339, 1), "")
        text = f"of {self.one(277, 1)} x {self.one(258, 1)}-bit{kind} samples"
        packed = COMPRESSIONS.get(self.one(259, 1))
        return f"{text} with {packed} inside" if packed else text

    @property
    def is_of_a_sensor(self) -> bool:
        """Whether it holds what a sensor saw (colour filter array, linear raw)."""
        return self.one(262) in (32803, 34892) or 50706 in self.values


def directories(data: bytes) -> Iterator[Directory]:
    """Those of a TIFF, sub-directories too, in the order of the file; at most 32."""
    if (header := _header(data)) is None:
        return
    order, is_big, first = header
    todo, seen = [first], set[int]()
    while todo and len(seen) < _MOST_DIRECTORIES:
        at = todo.pop(0)
        if at in seen:
            continue
        seen.add(at)
        entries, following = _entries(data, order, is_big, at)
        found = Directory()
        for tag, kind, count, where in entries:
            found.values[tag] = _whole_numbers(data, order, kind, count, where)
        yield found
        todo = [*found.values.get(330, ()), *([following] if following else []), *todo]


def without_metadata(data: bytes) -> bytes | None:
    """The same file, its first directory written anew with the tags that its pixels need; None
    where it is no TIFF."""
    if (header := _header(data)) is None:
        return None
    order, is_big, first = header
    entry = 20 if is_big else 12
    start = first + (8 if is_big else 2)
    kept = [
        data[start + entry * number :][:entry]
        for number, (tag, kind, *_) in enumerate(_entries(data, order, is_big, first)[0])
        if tag in _NEEDED and kind in _SIZES
    ]
    if not kept:
        return None
    at = len(data) + len(data) % 2
    count = struct.pack(order + ("Q" if is_big else "H"), len(kept))
    end = bytes(8 if is_big else 4)
    head = data[: 8 if is_big else 4] + struct.pack(order + ("Q" if is_big else "I"), at)
    return b"".join((head, data[len(head) :], b"\0" * (at - len(data)), count, *kept, end))


def _header(data: bytes) -> tuple[str, bool, int] | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    # RW2 and ORF have other numbers in the place of 42.
    if struct.unpack_from(order + "H", data, 2)[0] == 43:
        return order, True, struct.unpack_from(order + "Q", data, 8)[0]
    return order, False, struct.unpack_from(order + "I", data, 4)[0]


def _entries(
    data: bytes, order: str, is_big: bool, at: int
) -> tuple[list[tuple[int, int, int, int]], int]:
    """Tag, type, count, and where the values are, of each entry; where the next directory is."""
    head, entry, offset = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    width = struct.calcsize(order + offset)
    if not 0 < at <= len(data) - struct.calcsize(order + head):
        return [], 0
    (count,) = struct.unpack_from(order + head, data, at)
    at += struct.calcsize(order + head)
    found = []
    for number in range(min(count, _MOST_ENTRIES, (len(data) - at) // entry)):
        here = at + number * entry
        tag, kind, values = struct.unpack_from(order + "HH" + offset, data, here)
        inside = here + entry - width
        bytes_ = _SIZES.get(kind, 1) * values
        where = inside if bytes_ <= width else struct.unpack_from(order + offset, data, inside)[0]
        found.append((tag, kind, values, where))
    end = at + count * entry
    following = struct.unpack_from(order + offset, data, end)[0] if end + width <= len(data) else 0
    return found, following


def _whole_numbers(data: bytes, order: str, kind: int, count: int, at: int) -> tuple[int, ...]:
    code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q", 7: "B"}.get(kind)
    count = min(count, _MOST_VALUES)
    if code is None or not 0 <= at <= len(data) - count * struct.calcsize(order + code):
        return ()
    return struct.unpack_from(f"{order}{count}{code}", data, at)

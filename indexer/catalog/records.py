"""What the catalog's tables hold, and how each is spelled in bytes.

    folders    folder number -> path          folder_numbers  BLAKE2b of path -> folder number
    places     folder number + name -> size, mtime_ns, image number
    place_of   image number -> keys in `entries` (several for copies)
    contents   SHA-256 -> image number        images          image number -> JSON metadata
    vectors    image number -> float32 values words           the same in the space of texts
    orphans    images that no place shows any more
    rejects    folder number + name -> JSON: what could not be used, and when it was tried
    history    generation -> random token     removals        generation -> numbers deleted in it
    meta       generation, counters, roots, what the index covers, what was asked of it, store.json

Numbers are 8 bytes, big-endian, so LMDB keeps them in order. Each value ends with a checksum (see
`checks`), but in stores of format 1.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass
from typing import NamedTuple

from ..scan.walk import LONGEST_NAME, FileState

NUMBER = struct.Struct(">Q")
LONGEST_KEY = NUMBER.size + LONGEST_NAME
"""LMDB's limit."""
_ENTRY = struct.Struct(">QqQ")  # size, mtime_ns, image number

TABLES = (
    *("folders", "folder_numbers", "places", "place_of", "contents", "images", "vectors", "words"),
    *("orphans", "rejects", "history", "removals", "meta"),
)
SEVERAL_VALUES = ("place_of",)
"""Tables that hold several values for one key."""


class PathEntry(NamedTuple):
    """Where a picture was seen, in which state."""

    state: FileState
    image: int

    def pack(self) -> bytes:
        """As the table holds it."""
        return _ENTRY.pack(*self.state, self.image)

    @classmethod
    def unpack(cls, value: bytes) -> PathEntry:
        """What `pack` made."""
        size, mtime_ns, image = _ENTRY.unpack(value)
        return cls(FileState(size, mtime_ns), image)


class Reject(NamedTuple):
    """A file that could not be used."""

    state: FileState
    reason: str
    message: str
    codecs: str
    """Which decoders tried, within which limits: with others, it is tried again."""

    def pack(self) -> bytes:
        """As the table holds it."""
        return json.dumps(self).encode()

    @classmethod
    def unpack(cls, value: bytes) -> Reject:
        """What `pack` made."""
        state, reason, message, codecs = json.loads(value)
        return cls(FileState(*state), reason, message, codecs)


@dataclass(frozen=True)
class ImageRecord:
    """Metadata of one image."""

    sha256: str
    width: int
    height: int
    format: str
    file_bytes: int

    def pack(self) -> bytes:
        """As the table holds it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpack(cls, value: bytes) -> ImageRecord:
        """What `pack` made."""
        return cls(**json.loads(value))


@dataclass(frozen=True)
class CopyState:
    """Of which store another one is a copy, and how far."""

    origin: str
    """The id of the store that was copied, in hex."""
    unfinished: bool = False
    """Whether the copy is not whole, or was not verified."""


def path_key(path: bytes) -> bytes:
    """A folder's path as a key: LMDB's may not be longer than 511 bytes, paths may."""
    return hashlib.blake2b(path, digest_size=20).digest()


def number_of(value: bytes) -> int:
    """An 8-byte number."""
    return int(NUMBER.unpack(value)[0])

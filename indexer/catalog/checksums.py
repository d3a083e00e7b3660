"""The checksum that each value of the catalog ends with: of its key and itself (CRC-32).

LMDB keeps what was committed, but not from a disk that returns other bytes. A record that is not
what was written must never become a hit.
"""

from __future__ import annotations

from zlib import crc32

from ...core.errors import StoreDamagedError

BYTES = 4
_WHOLE = 0x2144DF1C
"""The CRC-32 of anything that is followed by its own CRC-32, lowest byte first."""


def with_check(key: bytes, value: bytes) -> bytes:
    """The value as it is stored."""
    return value + crc32(value, crc32(key)).to_bytes(BYTES, "little")


def is_whole(key: bytes, stored: bytes) -> bool:
    """Whether this is what `with_check` made for that key."""
    return len(stored) >= BYTES and crc32(stored, crc32(key)) == _WHOLE


def without_check(key: bytes, stored: bytes) -> bytes:
    """What `with_check` was given.

    Raises:
        StoreDamagedError: it is not what was written.
    """
    if is_whole(key, stored):
        return stored[:-BYTES]
    raise StoreDamagedError(
        "the catalog is damaged: a record is not what was written; 'tll-index verify' says what "
        "else is, 'tll-index repair' mends it"
    )

"""A GIF's blocks before its first picture; the same file without the comments among them."""

from __future__ import annotations

_HEAD = 13
_MANY = 1 << 16


def without_comments(data: bytes) -> bytes:
    """The file, if more than 64 KB of comments come before its first picture without them.

    Pillow before 13 joins comments block by block: 16 MB of them take minutes.
    """
    kept, at = [], _HEAD + (3 << (data[10] & 7) + 1 if len(data) > _HEAD and data[10] & 0x80 else 0)
    kept.append(data[:at])
    while data[at : at + 1] == b"!":
        end = at + 2
        while end < len(data) and data[end]:
            end += data[end] + 1
        end += 1
        if data[at + 1 : at + 2] != b"\xfe":
            kept.append(data[at:end])
        at = end
    kept.append(data[at:])
    shorter = b"".join(kept)
    return shorter if len(data) - len(shorter) > _MANY else data

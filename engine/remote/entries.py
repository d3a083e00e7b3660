"""What a folder at an address holds: names, sizes, and a stamp that changes when a file does."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import Any, NamedTuple

CONNECT_SECONDS, READ_SECONDS = 10, 30
"""Seconds that a host has to take a connection, and to send anything at all."""

_TAGS = (
    *("etag", "e_tag", "md5hash", "content_md5", "content-md5", "crc32c", "checksum", "sha256"),
    *("sha", "hex", "oid", "blob_id", "generation"),
)
_TIMES = (
    *("mtime", "lastmodified", "last_modified", "last-modified", "modified", "updated", "modify"),
    *("last_write_time", "created"),
)
"""What file systems call a mark of a file's content, and the time of its last change."""


class Entry(NamedTuple):
    """A file or folder that a folder at an address holds."""

    name: str
    is_folder: bool
    size: int = 0
    stamp: int | None = None
    """Changes when the file does: nanoseconds since 1970, or less than 0, a digest of its mark
    (ETag); None where the file system says neither."""


def stamp_of(facts: dict[str, Any]) -> int | None:
    """`Entry.stamp` of what a file system says of a file. A mark of its content comes first: it is
    the same whoever asks, and has no clock that ticks."""
    said = {str(name).lower(): value for name, value in facts.items() if value not in (None, "")}
    for name in _TAGS:
        if name in said:
            mark = str(said[name]).removeprefix("W/").strip('"')
            digest = hashlib.blake2b(mark.encode("utf-8", "surrogateescape"), digest_size=8)
            return -(int.from_bytes(digest.digest(), "big") >> 1) - 1
    for name in _TIMES:
        if name in said and (moment := _moment(said[name])) is not None:
            return moment
    return None


def _moment(value: object) -> int | None:
    """Nanoseconds since 1970 of any way to say a time."""
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        since = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return max(0, (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e11:
        return int(value * 10**9)
    return None


def _parsed(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    for parse in (
        datetime.fromisoformat,
        parsedate_to_datetime,
        lambda it: datetime.strptime(it.partition(".")[0], "%Y%m%d%H%M%S"),  # FTP
    ):
        try:
            return parse(text.replace("Z", "+00:00") if text.endswith("Z") else text)
        except (ValueError, TypeError, IndexError):
            continue
    return None

"""file: URLs, as file managers, browsers and our own hyperlinks have them -> paths of this machine.

file:///photos/my%20cat.jpg             file:/photos/my%20cat.jpg
file://localhost/photos/my%20cat.jpg    file://this-machine/photos/my%20cat.jpg
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote_to_bytes

from .errors import UsageError
from .names import shown

_URL = re.compile(rb"file:(?://([^/]*))?(/.*)?", re.IGNORECASE | re.DOTALL)
_WILD = re.compile(rb"[*?\[]")


def is_file_url(text: str | bytes | os.PathLike[str]) -> bool:
    """Whether it is one, not a path. (A file that is called `file:` is `./file:`.) A `Path` of a
    URL, which has lost a slash, is one still."""
    raw = os.fsencode(text)
    return raw[:5].lower() == b"file:" and raw[5:6] == b"/"


def path_of(url: str | bytes | os.PathLike[str]) -> bytes:
    """The path that a file: URL names.

    Raises:
        UsageError: it is of another machine, or names no path.
    """
    path = unquote_to_bytes(_encoded_path(os.fsencode(url)))
    if b"\0" in path:
        raise UsageError("file://…: a path has no null character")
    return path


def pattern_of_url(url: str) -> str:
    """The shell pattern for paths that a file: URL says: what is escaped in it stands for itself.

    Raises:
        UsageError: as `path_of`.
    """

    def literal(found: re.Match[bytes]) -> bytes:
        return _WILD.sub(rb"[\g<0>]", unquote_to_bytes(found[0]))

    return os.fsdecode(re.sub(rb"(?:%[0-9A-Fa-f]{2})+", literal, _encoded_path(os.fsencode(url))))


def url_of(path: str | bytes) -> str:
    """The URL of an absolute path, with this machine's name, so that a terminal knows files of
    another."""
    return f"file://{quote(_name())}{quote(path)}"


def _encoded_path(url: bytes) -> bytes:
    found = _URL.fullmatch(url)
    assert found is not None, "see is_file_url"
    host, path = unquote_to_bytes(found[1] or b""), found[2] or b""
    if not _is_here(os.fsdecode(host)):
        raise UsageError(
            f"file://{shown(host.rpartition(b'@')[2])}/…: is a file of another machine; take the "
            "path where its files are mounted here, such as file:///photos"
        )
    if not path:
        raise UsageError("file://: names no path; write file:///photos")
    return b"/" + path.lstrip(b"/")


def _is_here(host: str) -> bool:
    own = _name().lower()
    return host.lower() in ("", "localhost", "127.0.0.1", "[::1]", own, own.partition(".")[0])


def _name() -> str:
    return os.uname().nodename

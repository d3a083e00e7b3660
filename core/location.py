"""Where a store is: a folder, or collections of a Milvus, which an address names.

    milvus://host:19530/collection             a Milvus server or cluster
    milvus://host:19530/database/collection    the same, in a database of its own
    milvus-lite:///home/me/photos.db           Milvus Lite: a folder, of one process at a time
    milvus-lite:photos.db#collection           the same, relative, with another collection

What is secret (token, certificates) never stands in an address: see `indexer.milvus.connection`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import UsageError
from .paths import named

SERVER, LITE = "milvus", "milvus-lite"
MILVUS_PORT = 19530
_COLLECTION = "tll_index"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
"""Of a collection or database; Milvus allows 255, and ours have siblings with longer names."""


@dataclass(frozen=True)
class Milvus(os.PathLike[str]):
    """The location of a store in Milvus: its collections. As text and as a path it is its
    address."""

    collection: str
    host: str = ""
    port: int = MILVUS_PORT
    database: str = ""
    """Empty is the default one."""
    file: Path | None = None
    """Of Milvus Lite, absolute; None for a server."""

    def __str__(self) -> str:
        if self.file is not None:
            name = "" if self.collection == _COLLECTION else f"#{self.collection}"
            return f"{LITE}://{self.file}{name}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        database = f"{self.database}/" if self.database else ""
        return f"{SERVER}://{host}:{self.port}/{database}{self.collection}"

    def __fspath__(self) -> str:
        return str(self)


Location: TypeAlias = "Path | Milvus"
"""A folder, or a Milvus."""


def is_milvus(value: str | os.PathLike[str]) -> bool:
    """Whether that is meant as the address of one."""
    return isinstance(value, Milvus) or os.fspath(value).lower().startswith(
        (f"{SERVER}:", f"{LITE}:")
    )


def located(value: str | os.PathLike[str]) -> Location:
    """What a person or a setting wrote: a folder's path (of ~ and file: URLs as `paths.named`), an
    address in its parts.

    Raises:
        UsageError: an address that makes no sense, or holds what is secret; it is not repeated.
    """
    if isinstance(value, Milvus):
        return value
    text = os.fspath(value)
    if not is_milvus(text):
        return named(text)
    try:
        parts = urlsplit(text)
        port = parts.port or MILVUS_PORT
    except ValueError as error:
        raise UsageError(f"the store's address makes no sense: {error}") from None
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            "leave user, password and options out of the store's address: they are set by "
            "TLL_MILVUS_TOKEN and the like, which nobody sees in a list of processes"
        )
    return _lite(text, parts) if parts.scheme == LITE else _server(text, parts, port)


def _server(text: str, parts: SplitResult, port: int) -> Milvus:
    names = parts.path.strip("/").split("/")
    if not parts.hostname or not names[0] or len(names) > 2 or parts.fragment:
        raise UsageError(
            f"{text!r} is not the address of a store; write {SERVER}://host:{MILVUS_PORT}/photos"
        )
    for name in names:
        _require_name(name, text)
    return Milvus(names[-1], parts.hostname, port, names[0] if len(names) == 2 else "")


def _lite(text: str, parts: SplitResult) -> Milvus:
    path = unquote(parts.netloc + parts.path)
    if not path.strip("/"):
        raise UsageError(f"{text!r} names no file; write {LITE}:///folder/photos.db")
    if not path.endswith(".db"):
        raise UsageError(f"{text!r}: the name of a Milvus Lite ends with .db")
    name = parts.fragment or _COLLECTION
    _require_name(name, text)
    return Milvus(name, file=Path(os.path.realpath(named(path))))


def _require_name(name: str, text: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{text!r}: {name!r} is not a name for a collection; use at most 200 letters, "
            "digits and _, and no digit first"
        )

"""File names as people may see them: any bytes in, one printable line out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def shown(path: str | bytes | os.PathLike[str]) -> str:
    r"""`path` as one printable line: control characters and stray bytes become \n, \x1b, \xff."""
    text = os.fsdecode(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 (surrogateescape, PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def near(path: str | bytes | Path) -> str:
    """`path` relative to the current folder where it lies below it."""
    text = os.fsdecode(path)
    prefix = os.getcwd().rstrip(os.sep) + os.sep
    return text[len(prefix) :] if text.startswith(prefix) else text

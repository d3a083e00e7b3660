"""Files of a cache: a SHA-256 of the bytes behind them tells what a power failure did to them.

So nothing need wait for the disk: what is not whole is not there, and is made again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .atomic_files import replace_file

_SEAL = hashlib.sha256().digest_size


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote; None where there is none, or not whole."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body = data[:-_SEAL]
    return body if hashlib.sha256(body).digest() == data[-_SEAL:] else None


def write_sealed(path: Path, body: bytes) -> None:
    """Write a file that appears whole, and its folder where there is none. Several processes may
    write the same one.

    Raises:
        OSError: it can't be written; `path` is then as it was.
    """
    sealed = body + hashlib.sha256(body).digest()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda new: new.write_bytes(sealed), is_cache=True)

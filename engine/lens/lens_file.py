"""The file of a lens: an .npz of a JSON header and a few arrays, without pickles."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import npy
from ...core.errors import LensError
from ...core.paths import named

LENS_FORMAT = 3
"""Of the file. 1 had no hubness correction, 2 neither faces nor maps in bytes; both are still
read."""
EARLIER_FORMAT = 2
"""What a lens with neither is written in, which earlier versions read."""
MAX_LENS_BYTES = 256 << 20
"""Of the file, and of all that it unpacks to."""
STEPS = ("mean", "components", "adaptation")
"""The arrays of a lens, in the order in which it applies them."""

_MEMBERS = ("header", *STEPS, "adaptation_steps", "face_mean", "face_adaptation", "bank")
_TYPES = ("|u1", "|i1", "<f2", "<f4")
_DAMAGE = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading bytes that are anything may raise; `RuntimeError` of archives with a password or a
packing unknown here, and of JSON that is nested without end."""

LensFile: TypeAlias = "str | os.PathLike[str] | IO[bytes]"
"""A path, or a binary file that is open and can seek, such as `io.BytesIO`."""


def write_lens(file: LensFile, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write a header of JSON values and the arrays that go with it; the same of both give the same
    bytes."""
    text = json.dumps(header, sort_keys=True).encode()
    members: dict[str, NDArray[Any]] = {"header": np.frombuffer(text, np.uint8), **arrays}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            # A ZipInfo of our own: its date is fixed, so bytes depend on the lens alone.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())


@contextmanager
def reading_lens(file: LensFile) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """The header and the arrays of a file, for the block that makes a lens of them: whatever is
    wrong with them, there too, is one kind of error, which names the file.

    Raises:
        LensError: missing, damaged, not a lens, or of a newer format.
    """
    is_path = isinstance(file, (str, bytes, os.PathLike))
    source: Any = named(file) if is_path else file  # type: ignore[arg-type]
    name = str(source) if is_path else "what was to be read as a lens"
    try:
        with open(source, "rb") if is_path else nullcontext(source) as opened:
            yield _read(opened)
    except FileNotFoundError:
        raise LensError(f"no lens file {name}") from None
    except PermissionError as error:
        raise LensError(f"{name} can't be read: {error.strerror}") from None
    except LensError as error:
        raise LensError(f"{name}: {error}") from None
    except _DAMAGE as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise LensError(f"{name} is not a lens file, or is damaged ({what})") from None


def _read(file: IO[bytes]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if file.seek(0, os.SEEK_END) > MAX_LENS_BYTES:
        raise LensError("too large for a lens")
    arrays, unknown = _arrays(file)
    header = json.loads(arrays["header"].tobytes())
    if header["format"] > LENS_FORMAT:
        raise LensError(
            f"it is a lens of format {header['format']}; this version reads up to {LENS_FORMAT}: "
            "upgrade tll-index"
        )
    if unknown:
        raise ValueError(f"it holds {unknown[0]!r}")
    if lost := [name for name in header.get("arrays", ()) if name not in arrays]:
        raise ValueError(f"its {lost[0]} is lost")
    return header, arrays


def _arrays(file: IO[bytes]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays of a lens file, by name, and the names of what else is in it (all but names has a
    checksum there). What it says of sizes is believed only as far as there are bytes for it, and no
    more than `MAX_LENS_BYTES` of them in all.

    Raises:
        ValueError, and others of `_DAMAGE`
    """
    arrays, room = {}, MAX_LENS_BYTES
    with zipfile.ZipFile(file) as archive:
        there = archive.namelist()
        for name in _MEMBERS:
            if f"{name}.npy" not in there:
                continue
            with archive.open(f"{name}.npy") as member:
                data = member.read(room + 1)
            room -= len(data)
            if room < 0:
                raise ValueError("it unpacks to more than a lens may have")
            arrays[name] = _array(data)
    return arrays, sorted(set(there) - {f"{name}.npy" for name in _MEMBERS})


def _array(data: bytes) -> NDArray[Any]:
    """The array in the bytes of a .npy file."""
    file = io.BytesIO(data)
    shape, by_columns, dtype = npy.read_header(file)
    if dtype.str not in _TYPES or by_columns:
        raise ValueError(f"an array of {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"{len(data) - file.tell()} bytes are no array of {shape}")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)

"""Lens files (.npz) that lie about their arrays, explode, or hold code."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .forging import BOMB, Evil, Forgery, bare_pickle, members


def _write(path: Path, parts: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _array(header: str, body: bytes = b"") -> bytes:
    """A .npy file with a header of our choice."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _with(name: str, content: Callable[[Path], bytes]) -> Forgery:
    """A good lens, but for one array."""

    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        _write(path, {**members(data), name: content(marker)})

    return forge


def _header(**changes: object) -> Forgery:
    """A good lens that says other things of itself."""

    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        parts = members(data)
        header = json.loads(np.load(io.BytesIO(parts["header.npy"])).tobytes())
        text = json.dumps({**header, **changes}).encode()
        _write(path, {**parts, "header.npy": _npy(np.frombuffer(text, np.uint8))})

    return forge


def _zip_bomb(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """Few bytes that unpack to many, and an array of that size."""
    parts = members(data)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        with archive.open("mean.npy", "w", force_zip64=True) as out:
            out.write(_claims(f"({BOMB // 4},)")(marker))
            for _ in range(BOMB >> 20):
                out.write(bytes(1 << 20))


def _many_members(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """So many arrays of a megabyte each, in few bytes."""
    one = _array("{'descr': '|u1', 'fortran_order': False, 'shape': (1048576,)}", bytes(1 << 20))
    _write(
        path,
        {**members(data), **{f"{n}.npy": one for n in range(BOMB >> 20)}},
        zipfile.ZIP_DEFLATED,
    )


def _pickle_member(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """An array that is no array but a pickle."""
    _write(path, {**members(data), "mean.npy": pickle.dumps(Evil(marker))})


def _bare_array(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    path.write_bytes(_npy(np.ones(3, np.float32)))


def _objects(marker: Path) -> bytes:
    return _npy(np.array([Evil(marker)], dtype=object))


def _claims(shape: str, descr: str = "'<f4'") -> Callable[[Path], bytes]:
    return lambda marker: _array(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}")


def _values(array: np.ndarray) -> Forgery:
    return _with("adaptation.npy", lambda marker: _npy(array))


_NOT_FINITE = np.full((12, 16), np.nan, np.float32)
LENSES: tuple[tuple[str, Forgery], ...] = (
    ("a zip bomb", _zip_bomb),
    ("many members", _many_members),
    ("a pickle as a member", _pickle_member),
    ("a bare pickle", bare_pickle),
    ("a bare array", _bare_array),
    ("an array of objects", _with("mean.npy", _objects)),
    ("a header of objects", _with("header.npy", _objects)),
    ("a shape of 2^60 values", _with("adaptation.npy", _claims("(1152921504606846976,)"))),
    ("a shape that overflows", _with("adaptation.npy", _claims("(4294967296, 4294967296)"))),
    ("a shape of 10^12 values", _with("adaptation.npy", _claims("(1000000, 1000000)"))),
    ("a negative shape", _with("adaptation.npy", _claims("(-1, 16)"))),
    ("a shape of no values", _with("adaptation.npy", _claims("(0, 16)"))),
    ("a scalar", _with("adaptation.npy", _claims("()"))),
    ("a shape that is code", _with("adaptation.npy", _claims("__import__('os').getcwd()"))),
    ("a header nested deep", _with("adaptation.npy", _claims("(" * 900 + ")" * 900))),
    ("a type of objects", _with("adaptation.npy", _claims("(12, 16)", "'|O'"))),
    ("a structured type", _with("adaptation.npy", _claims("(12, 16)", "[('a', '<f4')]"))),
    ("values that are not finite", _values(_NOT_FINITE)),
    ("text as values", _values(np.array([["a"] * 16] * 12))),
    ("complex values", _values(np.ones((12, 16), np.complex64))),
    ("a member without its end", _with("adaptation.npy", lambda marker: _npy(_NOT_FINITE)[:300])),
    ("of the future", _header(format=99)),
    ("a format in words", _header(format="two")),
    ("features that are huge", _header(features=10**30)),
    ("features that are negative", _header(features=-16)),
    ("features in words", _header(features="many")),
    ("features that are infinite", _header(features=float("inf"))),
    ("hubs that are no table", _header(hubs="all")),
    ("hubs of unknown options", _header(hubs={"evil": 1})),
    ("hubs without a bank", _header(hubs={"neighbours": 10, "weight": 0.5})),
    ("provenance that is a list", _header(provenance=[1, 2, 3])),
    ("another backbone", _header(backbone="../../etc/passwd")),
)

"""Whatever the bytes of an array are, reading them gives the array or one error in one line."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from tll_index.core import npy

DEEP = (90, 900, 4000)  # where parsers of different Pythons give up in different ways
LITERALS = {
    **{f"brackets {n} deep": "[(" * n + ")]" * n for n in DEEP},
    **{f"brackets {n} deep, open": "[" * n for n in DEEP},
    **{f"{n} signs": "-" * n + "1" for n in DEEP},
    **{f"{n} names": "a." * n + "a" for n in DEEP},
    **{f"{n} brackets that don't match": "{" * n + ")" for n in DEEP},
    "a number of 5,000 digits": "(" + "9" * 5000 + ",)",
    "a call": "__import__('os').getcwd()",
    "not closed": "(1, ",
    "a text that is not closed": "('''",
    "an escape that warns": r"('\d',)",
    "a comparison that warns": "(1 is 1,)",
    "a zero byte": "(\0,)",
    "indented": "\n   1\n 2",
    "a comma too many": "(,)",
    "a set that can't be": "{[], 1}",
    "too large to be counted": f"({2**70}, 1)",
    "words": "('a', 'b')",
    "nothing": "",
}
DTYPES = {
    "objects": "'|O'",
    "no type": "'nonsense'",
    "a table": "{'names': 1}",
    "a deep one": "[" * 80 + "]" * 80,
    "a list of itself": "[('a', [('a', [('a', 'x')])])]",
    "a number": "7",
    "of huge size": "'V99999999999'",
}
HEADERS = {
    **{
        name: f"{{'descr': '<f4', 'fortran_order': False, 'shape': {s}}}"
        for name, s in LITERALS.items()
    },
    **{
        f"a type of {name}": f"{{'descr': {d}, 'fortran_order': False, 'shape': (3,)}}"
        for name, d in DTYPES.items()
    },
    **{f"bare: {name}": text for name, text in LITERALS.items()},
    "a key too many": "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'a': 1}",
    "keys of all kinds": "{1: 1, 'a': 2, (): 3}",
    "of Python 2, and broken": "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, ((((",
}


def forged(header: str, version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text + bytes(12)


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_none(name: str, tmp_path: Path) -> None:
    (path := tmp_path / "a.npy").write_bytes(forged(HEADERS[name]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError) as by_load:
            npy.load(path)
        with pytest.raises(ValueError):
            npy.load(path, mmap_mode="r")
        try:
            npy.read_header(io.BytesIO(path.read_bytes()))
        except ValueError as error:
            assert 0 < len(str(error)) <= 200 and "\n" not in str(error)
    assert 0 < len(str(by_load.value)) <= 200 and "\n" not in str(by_load.value)


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00", b"\x09\x00"])
def test_other_versions(version: bytes) -> None:
    data = forged(HEADERS["brackets 900 deep"], version)
    for read in (npy.load, npy.read_header):
        with pytest.raises(ValueError):
            read(io.BytesIO(data))


def test_arrays_come_back(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float16).reshape(3, 4)
    np.save(path := tmp_path / "a.npy", array)
    assert (npy.load(path) == array).all()
    assert (npy.load(path, mmap_mode="r") == array).all()
    with path.open("rb") as file:
        assert npy.read_header(file) == ((3, 4), False, array.dtype)
        assert file.read() == array.tobytes()


def test_what_is_no_array(tmp_path: Path) -> None:
    np.savez(archive := tmp_path / "a.npz", a=np.ones(3))
    (empty := tmp_path / "empty.npy").touch()
    (torn := tmp_path / "torn.npy").write_bytes(archive.read_bytes()[:-30])
    for path in (archive, empty, torn):
        with pytest.raises(ValueError):
            npy.load(path)
    with pytest.raises(OSError):
        npy.load(tmp_path / "missing.npy")

"""Lens, weights and store files that lie about what they hold, explode, or hold code that leaves a
mark where it is run; and damage by chance."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BOMB = 400 << 20
"""Bytes that a small file unpacks to, or claims to: more than anybody may take for it."""

Forgery = Callable[[Path, bytes, random.Random, Path], None]
"""Write a file: where, the bytes of a good one, chance, and the marker that nobody may make."""


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = os.fspath(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch '{self._marker}'",))


def members(data: bytes) -> dict[str, bytes]:
    """What an archive holds, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def bare_pickle(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """A pickle that is nothing else."""
    path.write_bytes(pickle.dumps(Evil(marker)))


def flipped(data: bytes, chance: random.Random) -> bytes:
    """With one to eight bits flipped."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        bit = chance.randrange(8 * len(changed))
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def mutated(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """Bits flipped, cut off, a part doubled, zeroed or noise: more often near the start."""
    kind = chance.randrange(6)
    start = chance.randrange(min(len(data), 600)) if chance.random() < 0.6 else None
    at = chance.randrange(len(data)) if start is None else start
    length = chance.choice((1, 4, 64, 512))
    if kind < 2:
        new = flipped(data, chance)
    elif kind == 2:
        new = data[:at]
    elif kind == 3:
        new = data[:at] + data[at : at + length] + data[at:]
    elif kind == 4:
        new = data[:at] + bytes(len(data[at : at + length])) + data[at + length :]
    else:
        new = data[:at] + chance.randbytes(len(data[at : at + length])) + data[at + length :]
    path.write_bytes(new)


def _about(**changes: object) -> Forgery:
    """A good one that says other things."""

    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        path.write_text(json.dumps({**json.loads(data), **changes}))

    return forge


def _made_by(**changes: object) -> Forgery:
    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        document = json.loads(data)
        document["made_by"].update(changes)
        path.write_text(json.dumps(document))

    return forge


def _text(text: bytes) -> Forgery:
    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        path.write_bytes(text)

    return forge


def _deep_json(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    path.write_bytes(data.rstrip()[:-1] + b',"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


def _large_json(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(BOMB)


STORES: tuple[tuple[str, Forgery], ...] = (
    ("a catalog elsewhere", _about(catalog="../../../../etc/passwd")),
    ("a catalog of an absolute path", _about(catalog="/etc/passwd")),
    ("a catalog that is a number", _about(catalog=7)),
    ("a catalog that is the index", _about(catalog="vectors.faiss")),
    ("a format of the future", _about(format=99)),
    ("a format in words", _about(format="one")),
    ("a format that is negative", _about(format=-1)),
    ("an id that is short", _about(id="ff")),
    ("an id that is no hex", _about(id="z" * 32)),
    ("weights that are a list", _about(weights_file=[1])),
    ("a base that is a number", _about(base=7)),
    ("made by a list", _about(made_by=[1, 2])),
    ("made by nothing", _about(made_by={})),
    ("10^12 dimensions", _made_by(dimension=10**12)),
    ("no dimension", _made_by(dimension=0)),
    ("dimensions in words", _made_by(dimension="12 of them")),
    ("infinite dimensions", _made_by(dimension=float("inf"))),
    ("a backbone elsewhere", _made_by(backbone="../../evil")),
    ("a backbone that is a list", _made_by(backbone=["tiny"])),
    ("a lens of other digest", _made_by(lens_sha256="0" * 64)),
    ("JSON nested deep", _deep_json),
    ("hundreds of megabytes", _large_json),
    ("no JSON", _text(b"\xff\x00")),
    ("a list", _text(b"[]")),
    ("a number of 10,000 digits", _text(b"9" * 10_000)),
)


def _tensors(header: object, body: bytes = b"", length: int | None = None) -> Forgery:
    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        size = len(text) if length is None else length
        path.write_bytes(struct.pack("<Q", size) + text + body)

    return forge


def _one(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"conv.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


_GOOD = 16 * 3 * 8 * 8 * 4
SAFETENSORS: tuple[tuple[str, Forgery], ...] = (
    ("a header longer than the file", _tensors(b"{}", length=1 << 40)),
    ("a header of 2^64 - 1 bytes", _tensors(b"{}", length=(1 << 64) - 1)),
    ("offsets beyond the end", _tensors(_one([16, 3, 8, 8], [0, 1 << 40]))),
    ("offsets backwards", _tensors(_one([16, 3, 8, 8], [_GOOD, 0]), bytes(_GOOD))),
    ("a shape that is no match", _tensors(_one([1 << 40, 1 << 40], [0, _GOOD]), bytes(_GOOD))),
    ("a shape that overflows", _tensors(_one([1 << 62, 4], [0, 0]))),
    ("a type unknown", _tensors(_one([16, 3, 8, 8], [0, _GOOD], "F999"), bytes(_GOOD))),
    ("no JSON", _tensors(b"\xff" * 64)),
    ("JSON nested deep", _tensors(b"[" * 100_000 + b"]" * 100_000)),
    ("no tensors", _tensors({})),
    ("another name", _tensors({"evil": _one([4], [0, 16])["conv.weight"]}, bytes(16))),
    ("another shape", _tensors(_one([4], [0, 16]), bytes(16))),
    ("holes", _tensors(_one([4], [16, 32]), bytes(32))),
)


def _torch(make: Callable[[Path], object], **options: Any) -> Forgery:
    def forge(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
        import torch

        torch.save(make(marker), path, **options)

    return forge


def _pt_bomb(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    """Its tensors are packed: few bytes that unpack to many."""
    import torch

    small = io.BytesIO()
    torch.save({"conv.weight": torch.zeros(16)}, small)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members(small.getvalue()).items():
            if not name.endswith("data/0"):
                archive.writestr(name, content)
                continue
            with archive.open(name, "w", force_zip64=True) as out:
                for _ in range(BOMB >> 20):
                    out.write(bytes(1 << 20))


def _deep_pickle(path: Path, data: bytes, chance: random.Random, marker: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"(" * 1_000_000 + b"l." * 10)


def _dictionary(marker: Path) -> dict[str, object]:
    import torch

    return {"conv.weight": torch.zeros(16, 3, 8, 8), "evil": Evil(marker)}


PICKLES: tuple[tuple[str, Forgery], ...] = (
    ("code in a checkpoint", _torch(_dictionary)),
    ("code in an old checkpoint", _torch(_dictionary, _use_new_zipfile_serialization=False)),
    ("code alone", _torch(Evil)),
    ("code in a bare pickle", bare_pickle),
    ("a list", _torch(lambda marker: [1, 2, 3])),
    ("nothing", _torch(lambda marker: None)),
    ("a table of numbers", _torch(lambda marker: {"conv.weight": 3})),
    ("tables within a table", _torch(lambda marker: {"state_dict": {"a": {"b": 1}}})),
    ("a state that is no table", _torch(lambda marker: {"state_dict": [1, 2]})),
    ("names that are numbers", _torch(lambda marker: {7: __import__("torch").zeros(3)})),
    ("a packed bomb", _pt_bomb),
    ("a pickle nested deep", _deep_pickle),
)


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
    ("hubs that are no table", _header(**{"hubs": "all"})),
    ("hubs of unknown options", _header(**{"hubs": {"evil": 1}})),
    ("hubs without a bank", _header(**{"hubs": {"neighbours": 10, "weight": 0.5}})),
    ("provenance that is a list", _header(provenance=[1, 2, 3])),
    ("another backbone", _header(backbone="../../etc/passwd")),
)

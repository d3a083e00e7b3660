"""Weights files that lie about their tensors, explode, or hold code: .safetensors and .pt."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .forging import BOMB, Evil, Forgery, bare_pickle, members


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

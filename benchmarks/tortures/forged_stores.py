"""Files `store.json` that lie about their store."""

from __future__ import annotations

import json
import random
from pathlib import Path

from .forging import BOMB, Forgery


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

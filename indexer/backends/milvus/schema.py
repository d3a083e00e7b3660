"""The collections of a store in a Milvus, and how each value is spelled there.

    NAME          images: number, SHA-256, metadata, vector and, in some stores, text embedding
    NAME_places   files: which folder, name, size and time; the image they show, or why none
    NAME_notes    all else, by name: store.json, roots, folders, pieces of the lens, claims

An image's number is 63 bits of its SHA-256, so the same content has the same key whoever writes it:
writing it twice is writing it once. Where two contents have the same bits, the later takes the next
number that is free; the whole SHA-256 beside it tells them apart. (Among 10^8 images that is to be
expected for one pair in 1,800 such collections; among 10^10, for five or six pairs.)

Milvus wants a vector in each collection; those that have none to keep get two zeros.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

from ...catalog.records import PathEntry, Reject
from ...scan.walk import FileState
from ..metadata import About

IMAGE_FIELDS = ("sha256", "width", "height", "format", "file_bytes")
ENTRY_FIELDS = ("folder", "name", "image", "size", "mtime_ns", "reject")
NOTE_FIELDS = ("kind", "value")

LONGEST = 65_535
"""Bytes of a Milvus text."""
_LONGEST_NAME = 2_048
_NOTHING = [0.0, 0.0]
_MASK = (1 << 63) - 1
PROBES = 4
"""Numbers that contents with the same bits may have."""

INVERTED, OWN_CHOICE = "INVERTED", ""
"""Of what is no vector; and whatever a Milvus takes where none is named."""

KINDS = {"flat": "FLAT", "hnsw": "HNSW", "ivf": "IVF_SQ8"}


@dataclass(frozen=True)
class Names:
    """The names of a store's collections."""

    images: str

    @property
    def entries(self) -> str:
        """Files."""
        return f"{self.images}_places"

    @property
    def notes(self) -> str:
        """All else."""
        return f"{self.images}_notes"

    @property
    def every(self) -> tuple[str, str, str]:
        """All three."""
        return self.images, self.entries, self.notes


Shape = tuple[Any, Any]
"""Fields and indexes of a collection, as `MilvusClient.create_collection` takes them."""


def images_shape(about: About, kind: str) -> Shape:
    """
    Args:
        kind: of the vectors' index, a value of `KINDS`.
    """
    from pymilvus import DataType

    images, indexes = _new_shape()
    images.add_field("image", DataType.INT64, is_primary=True)
    images.add_field("sha256", DataType.VARCHAR, max_length=64)
    for name in ("width", "height", "file_bytes"):
        images.add_field(name, DataType.INT64)
    images.add_field("format", DataType.VARCHAR, max_length=32)
    for space in about.spaces:
        field = field_of(space.table)
        images.add_field(field, DataType.FLOAT_VECTOR, dim=space.dimension)
        indexes.add_index(field, **index_of(kind))
    return images, indexes


def entries_shape() -> Shape:
    """Of files."""
    from pymilvus import DataType

    entries, indexes = _new_shape()
    entries.add_field("place", DataType.VARCHAR, max_length=40, is_primary=True)
    entries.add_field("folder", DataType.INT64)
    entries.add_field("name", DataType.VARCHAR, max_length=_LONGEST_NAME)
    for name in ("image", "size", "mtime_ns"):
        entries.add_field(name, DataType.INT64)
    entries.add_field("reject", DataType.VARCHAR, max_length=LONGEST)
    for name in ("folder", "image"):
        indexes.add_index(name, index_type=INVERTED)
    return _with_nothing(entries, indexes)


def notes_shape() -> Shape:
    """Of all else."""
    from pymilvus import DataType

    notes, indexes = _new_shape()
    notes.add_field("note", DataType.VARCHAR, max_length=80, is_primary=True)
    notes.add_field("kind", DataType.VARCHAR, max_length=16)
    notes.add_field("value", DataType.VARCHAR, max_length=LONGEST)
    indexes.add_index("kind", index_type=INVERTED)
    return _with_nothing(notes, indexes)


def _new_shape() -> Shape:
    from pymilvus import MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    return schema, MilvusClient.prepare_index_params()


def _with_nothing(schema: Any, indexes: Any) -> Shape:
    from pymilvus import DataType

    schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
    indexes.add_index("nothing", index_type="FLAT", metric_type="L2")
    return schema, indexes


def index_of(kind: str) -> dict[str, Any]:
    """Of vectors, which are of length 1: their inner product is the cosine."""
    parameters = {
        "FLAT": {},
        "HNSW": {"M": 32, "efConstruction": 256},
        "IVF_SQ8": {"nlist": 4096},
    }
    return {"index_type": kind, "metric_type": "IP", "params": parameters[kind]}


def effort(kind: str, wanted: int) -> dict[str, Any]:
    """How hard a search of `wanted` vectors looks: recall costs time."""
    if kind == "HNSW":
        return {"ef": min(32_768, max(256, 2 * wanted))}
    return {"nprobe": 64} if kind == "IVF_SQ8" else {}


def field_of(table: str) -> str:
    """The field that holds the vectors of a space."""
    return {"vectors": "vector", "words": "words"}[table]


# -- values ------------------------------------------------------------------


def number_from(digest: bytes, probe: int = 0) -> int:
    """63 bits of a digest, above 0; another number for each probe."""
    bits = int.from_bytes(digest[:8], "big") & _MASK
    return (bits + probe - 1) % _MASK + 1


def folder_digest(path: bytes) -> bytes:
    """What gives a folder its number."""
    return hashlib.blake2b(path, digest_size=8).digest()


def entry_key(folder: int, name: bytes) -> str:
    """The key of a file in a folder."""
    return hashlib.blake2b(struct.pack(">Q", folder) + name, digest_size=20).hexdigest()


def to_text(name: bytes) -> str:
    """A file's name or a folder's path. Milvus holds text, and names may be any bytes; no name
    holds a slash, and no absolute path or address begins like this."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return f"\\/{name.hex()}"


def from_text(text: str) -> bytes:
    """What `to_text` was given."""
    return bytes.fromhex(text[2:]) if text.startswith("\\/") else text.encode()


def _signed(number: int) -> int:
    """64 bits, which may be a state's size: Milvus has no unsigned ones."""
    return int(struct.unpack(">q", struct.pack(">Q", number))[0])


def _unsigned(number: int) -> int:
    return int(struct.unpack(">Q", struct.pack(">q", number))[0])


def entry_row(folder: int, name: bytes, known: PathEntry | Reject) -> dict[str, Any]:
    """A file, as `NAME_places` holds it."""
    why: list[str] = []
    if isinstance(known, Reject):
        texts = (known.reason, known.message, known.codecs)
        why = [text[:_LONGEST_NAME] for text in texts]
    return {
        "place": entry_key(folder, name),
        "folder": folder,
        "name": to_text(name),
        "image": 0 if isinstance(known, Reject) else known.image,
        "size": _signed(known.state.size),
        "mtime_ns": known.state.mtime_ns,
        "reject": json.dumps(why) if why else "",
        "nothing": _NOTHING,
    }


def entry_in(row: dict[str, Any]) -> PathEntry | Reject:
    """What `entry_row` was given."""
    state = FileState(_unsigned(row["size"]), row["mtime_ns"])
    if row["reject"]:
        return Reject(state, *json.loads(row["reject"]))
    return PathEntry(state, row["image"])


def note_row(note: str, kind: str, value: str) -> dict[str, Any]:
    """A note, as `NAME_notes` holds it."""
    return {"note": note, "kind": kind, "value": value, "nothing": _NOTHING}

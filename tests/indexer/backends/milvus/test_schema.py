"""Rows of a Milvus: any name, state, digest and reason comes back as it went in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from milvus_server import Served
from pictures import fill_folder
from tll_index import Recipe, Store, build
from tll_index.indexer.backends.milvus.schema import (
    entry_in,
    entry_row,
    from_text,
    number_from,
    to_text,
)
from tll_index.indexer.catalog.records import ImageRecord, PathEntry, Reject
from tll_index.indexer.scan.walk import FileState

TINY = Recipe("tiny")


@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name))
def test_names_of_any_bytes_are_texts(name: bytes) -> None:
    text = to_text(name)
    assert text.encode() is not None and from_text(text) == name
    assert from_text(to_text(b"/" + name)) == b"/" + name


@given(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**63 - 1))
def test_states_of_any_file_are_kept(size: int, mtime_ns: int, image: int) -> None:
    state = FileState(size, mtime_ns)
    for known in (PathEntry(state, image), Reject(state, "damaged", "it is broken", "jpeg")):
        row = entry_row(7, b"a.png", known)
        assert -(2**63) <= row["size"] < 2**63
        assert entry_in(row) == known


def test_contents_with_the_same_63_bits(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 2)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        digests = [b"same bits" + bytes([n] * 23) for n in range(3)]
        assert len({number_from(digest) for digest in digests}) == 1

        def add(writer: Any, digest: bytes, name: bytes) -> int:
            record = ImageRecord(digest.hex(), 1, 1, "PNG", 5)
            number = writer.add_image(digest, record, np.eye(16, dtype=np.float32)[0])
            folder = writer.folder(os.fsencode(here / "made"))
            writer.set_entry(folder, name, FileState(5, 5), number)
            return int(number)

        numbers = [
            store.catalog.write(lambda writer, d=digest, n=n: add(writer, d, b"%d.png" % n))
            for n, digest in enumerate(digests)
        ]
        assert numbers == [number_from(digests[0], probe) for probe in range(3)]
        with store.catalog.reading() as reader:
            assert [reader.image_of(digest) for digest in digests] == numbers
            assert reader.image_of(b"same bits" + bytes(23)[:-1] + b"x") is None
        again = store.catalog.write(lambda writer: add(writer, digests[1], b"copy.png"))
        assert again == numbers[1]
        assert len(store.picture(digests[1].hex()).paths) == 2


def test_long_reasons_in_any_letters_fit(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    known = Reject(FileState(1, 1), "damaged", "\udcff" * 3000, "\u00e9" * 3000)
    with Store.open(server.address()) as store:
        store.catalog.write(lambda writer: writer.reject(writer.folder(b"/x"), b"a.png", known))
        with store.catalog.reading() as reader:
            folder = reader.folder_number(b"/x")
            assert folder is not None
            found = reader.file_in(folder, b"a.png")
            assert isinstance(found, Reject) and found.message == "\udcff" * 2048

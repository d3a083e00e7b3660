"""Files on their way to the catalog: remembered is the state of the bytes that were read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pictures import fill_folder, noise
from tll_index import BuildReport, Recipe, Store, build
from tll_index.core.errors import TooLargePictureError, UnreadablePictureError
from tll_index.core.progress import Progress
from tll_index.engine.images.decode import Geometry, Limits
from tll_index.engine.images.file_bytes import read_bytes, read_file
from tll_index.indexer.decoding.decoder_process import Decoder
from tll_index.indexer.decoding.pipeline import File, Pipeline
from tll_index.indexer.scan.walk import FileState

GEOMETRY = Geometry(32, "squash")


def build_tiny(progress: Progress | None = None) -> BuildReport:
    return build(["photos"], store="store", recipe=Recipe(backbone="tiny"), progress=progress)


@dataclass(frozen=True)
class Meddling(Limits):
    """Limits that, as often as they are asked for the size, have a file written to: they are after
    it was opened and before it is read."""

    meddle: Callable[[], object] = int

    def __getattribute__(self, name: str) -> object:
        if name == "max_bytes":
            super().__getattribute__("meddle")()
        return super().__getattribute__(name)


def in_place(path: Path, times: int) -> Callable[[], None]:
    """A function that, so many times, writes a picture's first byte again."""
    counter = iter(range(1, times + 1))

    def write() -> None:
        if number := next(counter, 0):
            with path.open("r+b") as file:
                file.write(path.read_bytes()[:1])
            os.utime(path, ns=(number, number))  # the system's clock may be slow

    return write


def test_the_state_is_that_of_the_bytes(tmp_path: Path) -> None:
    (path,) = fill_folder(tmp_path, 1)
    stale = File(os.fsencode(tmp_path), os.fsencode(path.name), FileState(1, 2), is_new=True)
    with Pipeline([Decoder(GEOMETRY, Limits(), 9)], Limits(), depth=1) as pipeline:
        (prepared,) = pipeline.run([stale], lambda digest: False)
        (known,) = pipeline.run([stale], lambda digest: True)
    status = path.stat()
    assert prepared.picture is not None and known.picture is None
    assert prepared.file == replace(stale, state=FileState(status.st_size, status.st_mtime_ns))
    assert known.file == prepared.file


def test_a_file_that_changes_after_the_walk(here: Path) -> None:
    first, second, *_ = fill_folder(here / "photos", 5)

    class Late(Progress):
        def start(
            self, what: str, total: int | None, unit: str = "pictures", done: int = 0
        ) -> None:
            if what == "indexing":
                noise(50, 60, 50).save(first)
                second.write_text("no picture any more")

    report = build_tiny(Late())
    assert report.added == 4 and [one.reason for one in report.skipped] == ["not a picture"]
    noise(51).save(second)
    again = build_tiny()
    assert (again.added, again.updated, len(again.skipped)) == (1, 0, 0)
    with Store.open("store") as store:
        for path in (first, second):
            assert store.query(path, k=1, include_self=True)[0].path == str(path)
    assert build_tiny().unchanged == 5


def test_a_file_that_is_being_written_to(tmp_path: Path) -> None:
    """It is not indexed half old and half new: it is left for the next build, and named."""
    (path,) = fill_folder(tmp_path, 1)
    with pytest.raises(UnreadablePictureError, match=r"picture0000\.png: is being written to"):
        read_file(path, Meddling(meddle=in_place(path, 99)))
    file = File(os.fsencode(tmp_path), os.fsencode(path.name), FileState(1, 2), is_new=True)
    limits = Meddling(meddle=in_place(path, 99))
    with Pipeline([Decoder(GEOMETRY, Limits(), 9)], limits, depth=1) as pipeline:
        (prepared,) = pipeline.run([file], lambda digest: False)
    assert prepared.error is not None and prepared.error.reason == "unreadable"


def test_a_file_that_was_just_written(tmp_path: Path) -> None:
    (path,) = fill_folder(tmp_path, 1)
    read = read_file(path, Meddling(meddle=in_place(path, 1)))
    assert read == (path.read_bytes(), path.stat().st_mtime_ns) == (read.data, 1)


def test_a_file_that_grows(tmp_path: Path) -> None:
    (path,) = fill_folder(tmp_path, 1)

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(UnreadablePictureError, match="is being written to"):
        read_bytes(path, Meddling(meddle=grow))
    assert len(read_bytes(path)) == path.stat().st_size


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        try:
            file.truncate(1 << 40)
        except OSError:
            pytest.skip("no file system for a terabyte of nothing")
    with pytest.raises(TooLargePictureError, match="1048576 MiB"):
        read_bytes(tmp_path / "sparse.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with pytest.raises(UnreadablePictureError, match="regular file"):
        read_bytes(tmp_path / "zero.jpg")

"""A store brought to another backend, from a folder to a Milvus or back: all goes over as it is.

What differs is sent, folder by folder, in batches that are a write each; so a copy that was cut
short goes on, and one that is made again brings the other in step. Then it is verified: counts,
vectors by chance, and whether both find the same.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np

from ...core.config import Settings, load_settings
from ...core.errors import StoreError, UsageError
from ...core.location import Location
from ...core.names import shown
from ...core.progress import Progress
from ..backends.layout import location_to_build, require_store
from ..backends.remembered_rules import remember, remembered
from ..catalog.base import Reader, Writer
from ..catalog.records import CopyState, PathEntry, Reject
from ..catalog.spaces import LENS_TABLE
from ..ingest.background_indexer import BackgroundIndexer
from ..maintenance.forget import settle
from ..store import resolve
from ..store.create import create_store
from ..store.store import Store

LEAST_RECALL = 0.95
"""Of the ten best of the one, so many must be among those of the other, on average."""

_PER_WRITE = 1024
_VECTORS = 256
_QUERIES = 100
_NEAREST = 10


@dataclass
class Copied:
    """What a copy did, and what it found."""

    images: int = 0
    """Pictures that the copy holds."""
    paths: int = 0
    unusable: int = 0
    """Files known to be unusable."""
    sent: int = 0
    """Pictures whose vectors were written now; the others were there."""
    changed: int = 0
    """Paths that were written now."""
    removed: int = 0
    """Paths that the copy had and its source has no more."""
    vectors: int = 0
    """Vectors that were compared, and found equal in every bit."""
    recall: float = 1.0
    """Of the ten best hits of the source, the share that the copy gives as well: the mean over
    `compared` pictures."""
    compared: int = 0
    source_changed: bool = False
    """Whether the source was written to meanwhile. The copy then is what a source in a folder was
    when the copy began; what both find is only reported. The next copy brings it in step."""


@dataclass
class _FolderDifference:
    """What is to be written and what to be removed in one folder of the copy."""

    folder: bytes
    files: list[tuple[bytes, PathEntry | Reject]] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)


def copy_store(
    source: str | os.PathLike[str] | None,
    destination: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Copied:
    """Make the store at `destination` say what the one at `source` says: made where there is none,
    brought in step where it is a copy of that one. Nothing is embedded again, no picture opened.

    Args:
        source: a folder, or the address of a store in a Milvus; None as in `Store.open`.
        destination: likewise.

    Raises:
        UsageError: both are the same.
        StoreError: the destination holds another store, or can't be written; or the copy was found
            to differ from its source.
        StoreBusyError: another process writes to the destination or, where it is in a Milvus, which
            knows no snapshots, to the source.
    """
    settings, progress = settings or load_settings(), progress or Progress()
    here, there = require_store(source, settings), location_to_build(destination, settings)
    if here == there:
        raise UsageError(f"{shown(here)} can't be copied onto itself")
    with ExitStack() as stack:
        one = stack.enter_context(Store.open(here, settings=settings))
        if not one.backend.keeps_snapshots and not resolve.share_a_lock(here, there):
            stack.enter_context(resolve.only_writer(here))
        if not resolve.is_there(there):
            resolve.require_free(there)
        stack.enter_context(resolve.only_writer(there))
        copied = Copied()
        reader = stack.enter_context(one.catalog.reading())
        other = stack.enter_context(_destination(one, reader, there, settings, progress))
        with BackgroundIndexer(other) as indexer:
            _bring_in_step(reader, one, other, copied, indexer, progress)
            indexer.finish(progress)
            _verify(reader, one, other, copied)
            other.catalog.write(lambda writer: _mark(writer, reader, one, unfinished=False))
        return copied


def _destination(
    one: Store, reader: Reader, there: Location, settings: Settings, progress: Progress
) -> Store:
    about = one.about
    if resolve.is_there(there):
        other = Store.open(there, settings=settings)
        try:
            with other.catalog.reading() as copy:
                state = copy.copy_state
                is_new = state is None and not copy.entries and not copy.rejected
            same = (other.about.made_by, other.about.text) == (about.made_by, about.text)
            is_copy = state is not None and state.origin == about.id.hex()
            if not same or not (is_new or is_copy):
                raise StoreError(
                    f"{shown(there)} holds a store that is not a copy of {shown(one.location)}; "
                    "give another location, or join the two with 'tll-index merge'"
                )
            settle(other, progress, copying=True)
        except BaseException:
            other.close()
            raise
    else:
        made = create_store(
            there,
            about.made_by,
            one.lens,
            _for_index(one, reader, there, settings),
            about.weights_file,
            about.origin,
            about.text,
        )
        other = Store(made, settings)
    other.catalog.write(lambda writer: _mark(writer, reader, one, unfinished=True))
    return other


def _for_index(one: Store, reader: Reader, there: Location, settings: Settings) -> Settings:
    """Settings for a backend whose index is the one that the source was told, where it can be
    had."""
    told = settings.index or reader.index_settings().get("index", "")
    try:
        for space in one.about.spaces:
            resolve.require_index(there, told or "auto", space.dimension)
    except UsageError:
        if settings.index:
            raise
        return settings
    return replace(settings, index=told)


def _mark(writer: Writer, reader: Reader, one: Store, *, unfinished: bool) -> None:
    """The source's settings, and which store that is."""
    told = reader.index_settings()
    writer.set_index_settings({key: value for key, value in told.items() if value})
    writer.set_copy_state(CopyState(one.about.id.hex(), unfinished))


def _bring_in_step(
    reader: Reader,
    one: Store,
    other: Store,
    copied: Copied,
    indexer: BackgroundIndexer,
    progress: Progress,
) -> None:
    progress.start("copying", reader.entries + reader.rejected, "paths")
    spaces = [reader.of_space(space.table) for space in one.about.spaces]
    roots = reader.roots()
    remember(other.backend, remembered(one.backend))
    other.catalog.write(lambda writer: writer.set_roots(roots))
    for difference in _differences(reader, other, progress):
        for start in range(0, len(difference.files), _PER_WRITE):
            files = difference.files[start : start + _PER_WRITE]

            def record(
                writer: Writer,
                folder: bytes = difference.folder,
                files: Sequence[tuple[bytes, PathEntry | Reject]] = files,
            ) -> int:
                return _record(writer, reader, spaces, folder, files)

            copied.sent += other.catalog.write(record)
            copied.changed += len(files)
            progress.advance(len(files))
            indexer.grown()
        if difference.gone:
            copied.removed += other.catalog.write(
                lambda writer, one=difference: _remove(writer, one)  # type: ignore[misc]
            )
    other.catalog.remove_orphans()


def _differences(reader: Reader, other: Store, progress: Progress) -> Iterator[_FolderDifference]:
    """Folder by folder; those last that only the copy has."""
    left: dict[bytes, int]
    with other.catalog.reading() as copy:
        left = {path: number for number, path in copy.folders()}
    for number, folder in reader.folders():
        with other.catalog.reading() as copy:
            known = _files_in(copy, left.pop(folder, None))
        wanted = _files_in(_forgetful(reader), number)
        found = _FolderDifference(folder)
        same = 0
        for name, (said, content) in wanted.items():
            if known.pop(name, (None, None))[1] == content:
                same += 1
            else:
                found.files.append((name, said))
        found.gone = sorted(known)
        progress.advance(same)
        yield found
    for folder, number in left.items():
        with other.catalog.reading() as copy:
            yield _FolderDifference(folder, gone=sorted(_files_in(copy, number)))


def _forgetful(reader: Reader) -> Reader:
    """Of the same moment; what it remembers of a catalog that is far away goes with it."""
    return reader.of_space(LENS_TABLE)


def _files_in(reader: Reader, number: int | None) -> dict[bytes, tuple[PathEntry | Reject, object]]:
    """The files of a folder, each with what is the same in both stores if it is the same."""
    if number is None:
        return {}
    entries, rejects = reader.entries_in(number), reader.rejects_in(number)
    found: dict[bytes, tuple[PathEntry | Reject, object]] = {
        name: (reject, reject) for name, reject in rejects.items()
    }
    reader.fetch((entry.image for entry in entries.values()), paths=False)
    for name, entry in entries.items():
        record = reader.image(entry.image)
        # One that is lost is like no other: it is sent again.
        found[name] = (entry, object() if record is None else (entry.state, record.sha256))
    return found


def _record(
    writer: Writer,
    reader: Reader,
    spaces: Sequence[Reader],
    folder: bytes,
    files: Sequence[tuple[bytes, PathEntry | Reject]],
) -> int:
    """Work for one write; returns how many pictures were new."""
    reader = _forgetful(reader)
    reader.fetch((said.image for _, said in files if isinstance(said, PathEntry)), paths=False)
    records = {
        said.image: reader.record(said.image) for _, said in files if isinstance(said, PathEntry)
    }
    contents = {image: bytes.fromhex(record.sha256) for image, record in records.items()}
    writer.foresee(contents.values(), (os.path.join(folder, name) for name, _ in files))
    fresh = [image for image, content in contents.items() if writer.image_of(content) is None]
    rows = [space.vectors(fresh) for space in spaces] if fresh else []
    numbers = {
        image: writer.add_image(contents[image], records[image], *(part[row] for part in rows))
        for row, image in enumerate(fresh)
    }
    number = writer.folder(folder)
    for name, said in files:
        if isinstance(said, Reject):
            writer.reject(number, name, said)
            continue
        image = numbers.get(said.image) or writer.image_of(contents[said.image])
        assert image is not None
        writer.set_entry(number, name, said.state, image)
    return len(fresh)


def _remove(writer: Writer, difference: _FolderDifference) -> int:
    writer.foresee((), (os.path.join(difference.folder, name) for name in difference.gone))
    for name in difference.gone:
        writer.remove_path(os.path.join(difference.folder, name))
    return len(difference.gone)


# -- verifying ---------------------------------------------------------------


def _verify(reader: Reader, one: Store, other: Store, copied: Copied) -> None:
    """
    Raises:
        StoreError: the copy is not what its source is.
    """
    with other.catalog.reading() as copy:
        for what, wanted, found in (
            ("pictures", reader.images - reader.orphans, copy.images - copy.orphans),
            ("paths", reader.entries, copy.entries),
            ("unusable files", reader.rejected, copy.rejected),
        ):
            if wanted != found:
                raise _differ(other, f"{found:,} {what}, its source {wanted:,}")
        copied.images, copied.paths = copy.images - copy.orphans, copy.entries
        copied.unusable = copy.rejected
        numbers = reader.image_numbers()
        chosen = random.sample(range(len(numbers)), min(_VECTORS, len(numbers)))
        reader.fetch((int(numbers[row]) for row in chosen), paths=False)
        contents = [reader.record(int(numbers[row])).sha256 for row in chosen]
        for space in one.about.spaces:
            mine, theirs = reader.of_space(space.table), copy.of_space(space.table)
            for row, content in zip(chosen, contents, strict=True):
                number = copy.image_of(bytes.fromhex(content))
                if number is None:
                    raise _differ(other, f"no picture {content}")
                if not np.array_equal(mine.vectors([int(numbers[row])]), theirs.vectors([number])):
                    raise _differ(other, f"another vector of picture {content}")
            copied.vectors += len(chosen)
    _compare_hits(one, other, contents[:_QUERIES], copied)
    with one.catalog.reading() as now:
        copied.source_changed = now.transaction != reader.transaction
    if copied.recall < LEAST_RECALL and not copied.source_changed:
        raise _differ(
            other,
            f"other hits: {copied.recall:.1%} of the ten best of its source, where at least "
            f"{LEAST_RECALL:.0%} must be the same",
        )


def _compare_hits(one: Store, other: Store, contents: Sequence[str], copied: Copied) -> None:
    shares = []
    for content in contents:
        embedding = other.encode_indexed(content)  # which is what its source had
        mine, theirs = (
            {hit.sha256 for hit in s.query_blend([embedding], _NEAREST)} for s in (one, other)
        )
        if mine:
            shares.append(len(mine & theirs) / len(mine))
    copied.compared = len(shares)
    copied.recall = float(np.mean(shares)) if shares else 1.0


def _differ(other: Store, how: str) -> StoreError:
    return StoreError(
        f"the copy in {shown(other.location)} has {how}; it is marked as unfinished: run the same "
        "command again, or begin in an empty location"
    )

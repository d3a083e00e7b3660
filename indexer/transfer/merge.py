"""Several stores made one, without opening any picture: vectors and metadata go over as they are.

Each source is read as it is at one moment. Batches of paths are a transaction each, and what is
there already is passed over: a merge that is cut short, or run again, goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass
from itertools import islice
from operator import add
from typing import NamedTuple

from ...core.config import Settings, load_settings
from ...core.errors import StoreMismatchError, UsageError
from ...core.location import Location
from ...core.names import shown
from ...core.progress import Progress
from ...engine.lens.identity import difference
from ..backends.layout import location_to_build
from ..backends.remembered_rules import remember, remembered
from ..catalog.base import Reader, Writer
from ..catalog.records import PathEntry, Reject
from ..ingest.background_indexer import BackgroundIndexer
from ..maintenance.forget import settle, unsign
from ..scan.walk import FileState
from ..store import resolve
from ..store.create import create_store
from ..store.store import Store

_PER_TRANSACTION = 1024
_UNUSABLE = 0
"""In the place of an image's number."""


@dataclass
class Merged:
    """What came into a store, counted in paths but `images`."""

    images: int = 0
    """Pictures that it did not have."""
    added: int = 0
    """Paths that it did not have."""
    known: int = 0
    """Paths that it had, with the same picture."""
    unusable: int = 0
    """Files known to be unusable that it did not know of."""
    replaced: int = 0
    """Paths of which it knew another picture, and the disk says that the other store is right."""
    kept: int = 0
    """Paths of which it knew another picture, which stays."""

    def __add__(self, other: Merged) -> Merged:
        return Merged(*map(add, astuple(self), astuple(other)))


class _Item(NamedTuple):
    """One file that a source knows."""

    folder: bytes
    name: bytes
    known: PathEntry | Reject


def merge(
    sources: Iterable[str | os.PathLike[str]],
    *,
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Merged:
    """Put the pictures of other stores into a store; nothing is embedded again. The same content is
    one picture with all its paths; paths stay what they are; the folders that the others were built
    from are then folders of this one. The other stores are only read.

    Where two stores know different pictures at one path, the one that fits the file's size and time
    now is right; where that tells nothing, the store that is merged into.

    Args:
        sources: folders of stores that were made by the same backbone, weights and lens.
        store: its folder, made where there is none; None as in `build`.

    Raises:
        UsageError: no sources, or one is the store itself.
        StoreMismatchError: one was made by something else; nothing is merged then.
        StoreError: one can't be read, or the store can't be written.
    """
    settings = settings or load_settings()
    progress = progress or Progress()
    path = location_to_build(store, settings)
    with ExitStack() as stack:
        others = [stack.enter_context(Store.open(source, settings=settings)) for source in sources]
        if not others:
            raise UsageError("name at least one store to merge")
        if path in (other.location for other in others):
            raise UsageError(f"{shown(path)} can't be merged into itself")
        known = _open_known(path, settings, stack)
        _require_alike(others, known or others[0])
        stack.enter_context(resolve.only_writer(path))
        if opened := known or _open_known(path, settings, stack):
            _require_alike(others, opened)
            settle(opened, progress)
        else:
            opened = stack.enter_context(_made_like(others[0], path, settings))
        opened.indexes.remember_wanted()
        progress.start("merging", sum(map(_count, others)), "paths")
        merged = Merged()
        with BackgroundIndexer(opened) as indexer:
            for other in others:
                merged += _take_over(other, opened, indexer, progress)
            opened.catalog.remove_orphans()
            indexer.finish(progress)
        unsign(opened, progress)  # the others are only read, and may be older
    return merged


def _open_known(path: Location, settings: Settings, stack: ExitStack) -> Store | None:
    if not resolve.is_there(path):
        return None
    return stack.enter_context(Store.open(path, settings=settings))


def _require_alike(stores: Sequence[Store], like: Store) -> None:
    for store in stores:
        if found := difference(store.about.made_by, like.about.made_by):
            raise StoreMismatchError(
                f"{shown(store.location)} was made with another {found.what} than "
                f"{shown(like.location)} ({found.one}, there {found.other}); vectors of the "
                "two can't be compared: build one of them again"
            )
        if like.about.text and not store.about.text:
            raise StoreMismatchError(
                f"{shown(store.location)} was built without --text and {shown(like.location)} "
                "with it: build the former again, with --text"
            )


def _made_like(other: Store, path: Location, settings: Settings) -> Store:
    about, lens = other.about, other.lens
    made = create_store(
        path, about.made_by, lens, settings, about.weights_file, about.origin, about.text
    )
    return Store(made, settings)


def _count(store: Store) -> int:
    with store.catalog.reading() as reader:
        return reader.entries + reader.rejected


def _take_over(
    source: Store, store: Store, indexer: BackgroundIndexer, progress: Progress
) -> Merged:
    merged = Merged()
    with source.catalog.reading() as reader:
        roots, known = reader.roots(), set(store.roots())
        # Of a folder that both are built from, the rules of the store that is merged into hold.
        rules = remembered(source.backend)
        kept = remembered(store.backend) | {
            root: rules[root] for root in rules if root not in known
        }
        remember(store.backend, kept)
        store.catalog.write(lambda writer: writer.set_roots(sorted({*writer.roots(), *roots})))
        items = _items(reader)
        spaces = [reader.of_space(space.table) for space in store.about.spaces]
        while batch := list(islice(items, _PER_TRANSACTION)):

            def record(writer: Writer, batch: Sequence[_Item] = batch) -> Merged:
                return _record(writer, reader, spaces, batch)

            merged += store.catalog.write(record)
            progress.advance(len(batch))
            indexer.grown()
    return merged


def _items(reader: Reader) -> Iterator[_Item]:
    for number, folder in reader.folders():
        for name, entry in reader.entries_in(number).items():
            yield _Item(folder, name, entry)
        for name, reject in reader.rejects_in(number).items():
            yield _Item(folder, name, reject)


def _record(
    writer: Writer, source: Reader, spaces: Sequence[Reader], batch: Sequence[_Item]
) -> Merged:
    """`spaces`: the source's vectors, in each of the store's spaces."""
    merged = Merged()
    for folder, name, offered in batch:
        record = source.record(offered.image) if isinstance(offered, PathEntry) else None
        image = writer.image_of(bytes.fromhex(record.sha256)) if record else _UNUSABLE
        number = writer.folder(folder)
        known = writer.file_in(number, name)
        newer = known is None or _is_newer(folder, name, offered, known)
        if known is None:
            merged.added += record is not None
            merged.unusable += record is None
        elif image == (known.image if isinstance(known, PathEntry) else _UNUSABLE):
            merged.known += record is not None
        else:
            merged.replaced += newer
            merged.kept += not newer
        if not newer:
            continue
        if record is None or isinstance(offered, Reject):
            assert isinstance(offered, Reject)
            writer.reject(number, name, offered)
            continue
        if image is None:
            vectors = [reader.vectors([offered.image])[0] for reader in spaces]
            image = writer.add_image(bytes.fromhex(record.sha256), record, *vectors)
            merged.images += 1
        writer.set_entry(number, name, offered.state, image)
    return merged


def _is_newer(
    folder: bytes, name: bytes, offered: PathEntry | Reject, known: PathEntry | Reject
) -> bool:
    """Whether the file is now as the source knew it and not as the store does. If that tells
    nothing, a picture is better than none."""
    if offered.state == known.state:
        return isinstance(offered, PathEntry) and isinstance(known, Reject)
    path = os.path.join(folder, name)
    fits = [_fits(path, one.state) for one in (offered, known)]
    if fits[0] != fits[1]:
        return fits[0]
    return isinstance(offered, PathEntry) and isinstance(known, Reject)


def _fits(path: bytes, state: FileState) -> bool:
    with suppress(OSError):
        status = os.stat(path)
        now = FileState.of(status.st_size, status.st_mtime_ns)
        return state in (now, now.doubtful)
    return False

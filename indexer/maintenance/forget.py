"""Pictures that a store shall know nothing of any more: not their vectors, names or digests.

First they are removed, as a build removes what is gone: from then on no query finds them. Then
the indexes are made without them and the catalog written anew, since LMDB leaves the bytes of what
was deleted in its file (a Milvus is told to compact). The catalog remembers in between that this is
to be done: whatever command writes to the store next ends what was cut short.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...core.config import Settings, load_settings
from ...core.errors import StoreError, TllError, UsageError
from ...core.names import shown
from ...core.progress import Progress
from ..backends.layout import thumbnails_of
from ..backends.remembered_rules import remember, remembered
from ..catalog.base import Reader, Writer
from ..catalog.records import PathEntry
from ..scan.patterns import same_name
from ..scan.presence import still_there
from ..scan.walk import absolute, is_below
from ..store.resolve import only_writer
from ..store.store import Store
from .unsigned_urls import remove_signatures

_PER_TRANSACTION = 4096


@dataclass(frozen=True)
class Forgotten:
    """What `forget` removed, and what it left."""

    paths: int
    """Indexed files, and files known to be unusable."""
    images: int
    """Pictures that no path shows any more: their vectors and metadata are gone."""
    copies: tuple[bytes, ...]
    """Paths that are indexed still and show one of the same pictures: what is known of those is
    kept."""
    there: tuple[bytes, ...]
    """Files that are still there, or at an address that can't be listed: a build of their folder
    would index them again."""
    again: tuple[bytes, ...] = ()
    """Those of them that are below folders which the store is still built from: the next build
    indexes them again, if it is not told to leave them out."""
    roots: tuple[bytes, ...] = ()
    """Folders that the store was built from and now isn't: a build that names no folder passes them
    by."""


@dataclass(frozen=True)
class _Chosen:
    """Files that are to be forgotten."""

    files: tuple[tuple[bytes, bytes], ...]
    """Folder and name of each."""
    copies: tuple[bytes, ...]

    @property
    def paths(self) -> Iterator[bytes]:
        return (os.path.join(folder, name) for folder, name in self.files)


def forget(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    store: str | os.PathLike[str] | None = None,
    copies: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Forgotten:
    """Really remove pictures from a store: afterwards no file of it holds a byte of their vectors,
    names or digests. It takes about as long as copying the store and making its index.

    Args:
        paths: of files or folders, or addresses, which need not be there any more.
        store: its folder; None as in `Store.open`.
        copies: also every other path that shows one of the same pictures.

    Raises:
        TllError: one of them is not indexed; nothing is forgotten then.
        UsageError: there are none.
        StoreError: the store can't be opened or written.
    """
    progress = progress or Progress()
    named = [absolute(path) for path in paths]
    if not named:
        raise UsageError("name the pictures or folders to forget")
    with (
        Store.open(store, settings=settings or load_settings()) as opened,
        only_writer(opened.location),
    ):
        settle(opened, progress)
        chosen = _choose(opened, named, copies)
        before = opened.roots()
        images = _remove(opened, chosen, named)
        walked = opened.roots()
        wipe(opened, progress)
    there = tuple(still_there(chosen.paths))
    return Forgotten(
        len(chosen.files),
        images,
        chosen.copies,
        there,
        again=tuple(path for path in there if any(is_below(path, root) for root in walked)),
        roots=tuple(sorted({*before} - {*walked})),
    )


def settle(store: Store, progress: Progress, *, copying: bool = False) -> None:
    """Do what is left to be done from before, for the store's one writer: end what a `forget`
    began, give an old store its checksums, remove what was cut short, and the signatures of
    addresses, which older versions stored.

    Args:
        copying: it is a copy that is being gone on with.

    Raises:
        StoreError: it is a copy that is not whole: what others write would go, or be missed.
    """
    if store.unfinished and not copying:
        raise StoreError(
            f"{shown(store.location)} is an unfinished copy; finish it first with 'tll-index copy'"
        )
    store.backend.tidy()
    with store.catalog.reading() as reader:
        wiping = reader.wiping
    if wiping:
        wipe(store, progress)
    else:
        store.backend.renew(progress)
    if not copying:
        unsign(store, progress)


def unsign(store: Store, progress: Progress) -> None:
    """Leave no signature of an address in the store, of those that older versions imported; for its
    one writer."""
    if signed := remove_signatures(store.catalog):
        progress.note(
            f"{signed:,} of the store's addresses were signed; their signatures are removed, and "
            "the catalog is written anew without them"
        )
        wipe(store, progress)


def wipe(store: Store, progress: Progress) -> None:
    """Leave no byte of what was removed in any file of the store, nor a thumbnail in this user's
    cache; for its one writer."""
    store.save_index(progress, afresh=True)
    store.backend.wipe(progress)
    shutil.rmtree(thumbnails_of(store.about.id, store.settings), ignore_errors=True)


def _choose(store: Store, named: Sequence[bytes], copies: bool) -> _Chosen:
    files: set[tuple[bytes, bytes]] = set()
    images: set[int] = set()
    with store.catalog.reading() as reader:
        for path in named:
            found = dict(_at(reader, path))
            is_root = any(is_below(root, path) for root in reader.roots())
            if not found and not is_root:
                raise TllError(f"{shown(path)} is not indexed; nothing is forgotten")
            files |= found.keys()
            images |= {image for image in found.values() if image}
        others = {
            (os.path.dirname(path), os.path.basename(path))
            for image in images
            for path in reader.paths_of(image)
        } - files
    if copies:
        return _Chosen(tuple(sorted(files | others)), ())
    kept = tuple(sorted(os.path.join(folder, name) for folder, name in others))
    return _Chosen(tuple(sorted(files)), kept)


def _at(reader: Reader, path: bytes) -> Iterator[tuple[tuple[bytes, bytes], int]]:
    """What is known of the file at `path`, or of all files below the folder: folder and name, and
    the image, 0 for an unusable one. Names that people can't tell apart are the same."""
    folder, name = os.path.split(path)
    number = reader.folder_number(folder)
    if number is not None and (file := reader.file_in(number, name)) is not None:
        yield (folder, name), file.image if isinstance(file, PathEntry) else 0
    same = same_name(path)
    same_folder, name = os.path.split(same)
    for number, below in reader.folders():
        here = same_name(below)
        if is_below(here, same):
            yield from (((below, one), image) for one, image in _in(reader, number))
        elif here == same_folder and not path.isascii():
            yield from (
                ((below, one), image)
                for one, image in _in(reader, number)
                if same_name(one) == name
            )


def _in(reader: Reader, number: int) -> Iterator[tuple[bytes, int]]:
    """Every file that is known of a folder."""
    for name, entry in reader.entries_in(number).items():
        yield name, entry.image
    for name in reader.rejects_in(number):
        yield name, 0


def _is_named(root: bytes, named: Sequence[bytes]) -> bool:
    """Whether a folder that is built from lies in what is forgotten."""
    return any(is_below(same_name(root), same_name(one)) for one in named)


def _remove(store: Store, chosen: _Chosen, named: Sequence[bytes]) -> int:
    """Take the files out, and the pictures that nothing shows then; returns how many."""
    for start in range(0, max(1, len(chosen.files)), _PER_TRANSACTION):
        some = chosen.files[start : start + _PER_TRANSACTION]

        def remove(writer: Writer, some: Sequence[tuple[bytes, bytes]] = some) -> None:
            writer.set_wiping(True)
            writer.set_roots(root for root in writer.roots() if not _is_named(root, named))
            for folder, name in some:
                writer.remove_path(os.path.join(folder, name))

        store.catalog.write(remove)
    rules = remembered(store.backend)
    remember(
        store.backend, {root: one for root, one in rules.items() if not _is_named(root, named)}
    )
    return store.catalog.remove_orphans()

"""The disk held against the catalog, without opening a file: what is new, changed, gone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...core.progress import Progress
from ...engine.remote.urls import is_address
from ..catalog.base import Catalog, Writer
from ..catalog.records import PathEntry
from ..decoding.pipeline import Listed
from ..scan.presence import is_absent, is_gone
from ..scan.remote_walk import AddressWalk, walk_of
from ..scan.rules import RootRules, Rules
from ..scan.walk import FileState, Folder, Walk, below, is_below
from .report import LeftOut, Skipped
from .spool import Spool


@dataclass
class Tally:
    """How much there is to do."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    doubtful: int = 0
    """Indexed files that seem unchanged, but must be opened to know."""
    gone: int = 0
    """Indexed paths that are gone."""
    stale: int = 0
    """Files that were known to be unusable and are gone."""
    skipped: list[Skipped] = field(default_factory=list)
    """Files that are known to be unusable and have not changed; what can't be looked at."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """What the rules leave out, and what is of kinds that can't be read."""

    @property
    def to_do(self) -> int:
        """Files that must be opened."""
        return self.new + self.changed + self.doubtful

    @property
    def files(self) -> int:
        """Picture files that are there."""
        return self.to_do + self.unchanged + len(self.skipped)


@dataclass(frozen=True)
class FolderChanges:
    """What is different in one folder, on disk and in the catalog."""

    root: bytes
    """The folder that was walked and in which it lies."""
    path: bytes
    number: int | None
    """Of the folder, in the catalog."""
    to_do: list[Listed]
    gone: list[bytes]
    """Names that are indexed, and were not listed."""
    stale: list[bytes]
    """The same of files that were known to be unusable."""
    present: list[bytes]
    """Those of both at which something is all the same: rules leave it out, or it is no file."""

    def pack(self) -> tuple[Any, ...]:
        """As plain values."""
        to_do = [(one.name, *one.state, *_packed(one.entry)) for one in self.to_do]
        return self.root, self.path, self.number, to_do, self.gone, self.stale, self.present

    @classmethod
    def unpack(cls, values: tuple[Any, ...]) -> FolderChanges:
        """What `pack` made."""
        root, path, number, to_do, gone, stale, present = values
        return cls(
            root, path, number, [_unpacked(path, *one) for one in to_do], gone, stale, present
        )

    def still_gone(self) -> list[bytes]:
        """Names that the catalog need not know any more: on disk, one that has come back since
        stays."""
        present = frozenset(self.present)
        return [
            name
            for name in (*self.gone, *self.stale)
            if name in present or is_address(self.path) or is_gone(os.path.join(self.path, name))
        ]


class Comparison:
    """Some folders on disk, and what a catalog (None: nothing yet) knows of them.

    They are walked once: `tally` counts what is different and, where it is to be dealt with, keeps
    it in a temporary file, which `to_do` and `sweep` go by.
    """

    def __init__(
        self,
        roots: Sequence[bytes],
        rules: Rules | Mapping[bytes, RootRules],
        store: bytes | None,
        catalog: Catalog | None,
        codecs: str,
        allow_empty: bool,
        checksum: bool = False,
    ) -> None:
        """
        Args:
            roots: folders to walk. Where one lies below another, each has a walk of its own.
            rules: which of their files are looked at; of each root, or of all.
            store: its folder, never walked into; None where it is at an address.
            codecs: which decoders and limits there are; what others gave up on is tried again.
            allow_empty: believe that a root which is missing or quite empty lost its pictures.
            checksum: open files of unchanged size and time as well.
        """
        self.roots = roots
        self.rules = rules
        self.store = store
        self.catalog = catalog
        self.codecs = codecs
        self.allow_empty = allow_empty
        self.checksum = checksum
        self.missing: set[bytes] = set()
        """Roots that were not there."""
        self._walks = [self._walk(root) for root in roots]
        self._spool = Spool()

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def require(self, roots: Container[bytes]) -> None:
        """Refuse to begin where one of these, at an address, is not there; on disk, see
        `presence.require_root`.

        Raises:
            TllError: it isn't, or can't be listed, and why.
        """
        for walk in self._walks:
            if walk.root in roots and isinstance(walk, AddressWalk):
                walk.list_root()

    def tally(self, progress: Progress, *, keep: bool = True) -> Tally:
        """Walk, and count what there is to do.

        Args:
            keep: whether `to_do` and `sweep` follow.

        Raises:
            TllError: the temporary folder has no room for what is different.
        """
        tally = Tally()
        seen: set[int] = set()
        found = 0
        progress.start("scanning", None, "files")
        for one in self._differences(tally, seen):
            if keep and (one.to_do or one.gone or one.stale):
                self._spool.put(one.pack())
            progress.advance(tally.files - found)
            found = tally.files
        for walk in self._walks:
            tally.skipped += [
                Skipped(path, "unreadable", why) for path, why in sorted(walk.unknown.items())
            ]
        for one in self._unseen(tally, seen):
            if keep:
                self._spool.put(one.pack())
        _note_left_out(self._walks, tally.left_out)
        return tally

    def to_do(self) -> Iterator[Listed]:
        """The files that must be opened, folder by folder."""
        for one in map(FolderChanges.unpack, self._spool):
            for file in one.to_do:
                yield replace(file, listed_ns=time.time_ns())

    def sweep(self, catalog: Catalog) -> int:
        """Remove paths that are gone from the catalog; returns how many there were. Of a disk that
        went away since it was walked, nothing is removed."""
        removed = 0
        absent = self._absent_now()
        for one in map(FolderChanges.unpack, self._spool):
            if one.number is None or one.root in absent:
                continue
            if names := one.still_gone():
                removed += catalog.write(_removal(one.number, names))
        return removed

    def _absent_now(self) -> frozenset[bytes]:
        if self.allow_empty:
            return frozenset()
        return frozenset(
            walk.root
            for walk in self._walks
            if not (is_address(walk.root) or walk.is_missing or walk.is_empty)
            and is_absent(walk.root)
        )

    def _walk(self, root: bytes) -> Walk:
        rules = self.rules if isinstance(self.rules, Rules) else self.rules[root]
        return walk_of(root, rules, self._not_entered(root))

    def _not_entered(self, root: bytes) -> frozenset[bytes]:
        below = [other for other in self.roots if other != root and is_below(other, root)]
        return frozenset(below if self.store is None else [self.store, *below])

    def _differences(self, tally: Tally, seen: set[int]) -> Iterator[FolderChanges]:
        """Each folder with pictures, and what is different there, counted in `tally`; `seen`
        gathers the numbers of those that the catalog knows."""
        for walk in self._walks:
            for folder in walk:
                yield self._difference(walk, folder, tally, seen)
            if walk.is_missing:
                self.missing.add(walk.root)
            self._question(walk)

    def _question(self, walk: Walk) -> None:
        """Doubt a root that is empty or missing though pictures are indexed below it: its disk
        may be absent. One that is missing from another root's folder was moved or deleted."""
        if self.allow_empty or self.catalog is None or walk.root in walk.unknown:
            return
        if not (walk.is_empty or walk.is_missing):
            return
        if walk.is_missing and any(
            is_below(walk.root, other.root) and not other.is_missing and not other.is_empty
            for other in self._walks
            if other is not walk
        ):
            return
        with self.catalog.reading() as reader:
            known = sum(
                len(reader.entries_in(number))
                for number, path in reader.folders()
                if is_below(path, walk.root)
            )
        if known:
            state = "is not there" if walk.is_missing else "is empty"
            asked = "" if is_address(walk.root) else "; is its disk mounted?"
            walk.unknown[walk.root] = (
                f"{state} now{asked or '.'} What is indexed below it ({known:,}) is "
                "kept, unless you say --allow-empty"
            )

    def _difference(
        self, walk: Walk, folder: Folder, tally: Tally, seen: set[int]
    ) -> FolderChanges:
        if self.catalog is None:
            new = [_listed(folder.path, *item, None) for item in folder.files.items()]
            tally.new += len(new)
            return FolderChanges(walk.root, folder.path, None, new, [], [], [])
        with self.catalog.reading() as reader:
            number = reader.folder_number(folder.path)
            entries = {} if number is None else reader.entries_in(number)
            rejects = {} if number is None else reader.rejects_in(number)
        if number is not None:
            seen.add(number)
        to_do = []
        for name, state in folder.files.items():
            entry = entries.get(name)
            if entry is not None and entry.state == state and not self.checksum:
                tally.unchanged += 1  # most of them: nothing is made for these
                continue
            file, reject = _listed(folder.path, name, state, entry), rejects.get(name)
            refused = reject and (reject.state, reject.codecs) == (state, self.codecs)
            if reject and refused and not self.checksum:
                tally.skipped.append(Skipped(file.path, reject.reason, reject.message))
            else:
                to_do.append(file)
        tally.new += sum(file.is_new for file in to_do)
        tally.doubtful += (doubtful := sum(map(_seems_unchanged, to_do)))
        tally.changed += sum(not file.is_new for file in to_do) - doubtful
        gone = [name for name in entries if name not in folder.files] if folder.complete else []
        stale = [name for name in rejects if name not in folder.files] if folder.complete else []
        tally.gone += len(gone)
        tally.stale += len(stale)
        where = below(folder.path, walk.root)
        tally.left_out.indexed += sum(
            walk.selection.skips(os.path.join(where, name), False) for name in gone
        )
        present = _present(folder.path, (*gone, *stale))
        return FolderChanges(walk.root, folder.path, number, to_do, gone, stale, present)

    def _unseen(self, tally: Tally, seen: set[int]) -> Iterator[FolderChanges]:
        """Folders of the catalog that the walks would have met if they still held pictures."""
        if self.catalog is None:
            return
        with self.catalog.reading() as reader:
            for number, path in reader.folders():
                if number in seen:
                    continue
                covering = [walk for walk in self._walks if walk.covers(path)]
                if not covering:
                    continue
                gone, stale = list(reader.entries_in(number)), list(reader.rejects_in(number))
                tally.gone += len(gone)
                tally.stale += len(stale)
                if any(walk.selection.skips_any(below(path, walk.root), True) for walk in covering):
                    tally.left_out.indexed += len(gone)
                present = _present(path, (*gone, *stale))
                root = covering[0].root
                yield FolderChanges(root, path, number, [], gone, stale, present)


def _note_left_out(walks: Sequence[Walk], left_out: LeftOut) -> None:
    """Gather what walks met and passed over."""
    used: set[str] = set()
    given: dict[str, bytes] = {}
    for walk in walks:
        left_out.system_folders += walk.system_folders
        left_out.system_files += walk.system_files
        left_out.unread.update(walk.unread)
        used |= walk.selection.used
        for typed in walk.selection.excluding:
            given.setdefault(typed, walk.root)
    left_out.unused = {typed: root for typed, root in given.items() if typed not in used}


def _listed(folder: bytes, name: bytes, state: FileState, entry: PathEntry | None) -> Listed:
    return Listed(folder, name, state, entry is None, entry, listed_ns=0)


def _packed(entry: PathEntry | None) -> tuple[int, ...]:
    return () if entry is None else (*entry.state, entry.image)


def _unpacked(folder: bytes, name: bytes, size: int, mtime_ns: int, *known: int) -> Listed:
    entry = PathEntry(FileState(*known[:2]), known[2]) if known else None
    return _listed(folder, name, FileState(size, mtime_ns), entry)


def _present(folder: bytes, names: Sequence[bytes]) -> list[bytes]:
    """Those of the names in a folder on disk at which there is something, or may be."""
    if is_address(folder):
        return []
    return [name for name in names if not is_gone(os.path.join(folder, name))]


def _seems_unchanged(file: Listed) -> bool:
    return file.entry is not None and file.entry.state in (file.state, file.state.doubtful)


def _removal(folder: int, names: Sequence[bytes]) -> Callable[[Writer], int]:
    """Work for one transaction: forget these files of a folder; returns how many were indexed."""

    def work(writer: Writer) -> int:
        entries = writer.entries_in(folder)
        for name in names:
            writer.remove_entry(folder, name)
        writer.remove_empty_folder(folder)
        return sum(name in entries for name in set(names))

    return work

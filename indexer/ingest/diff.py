"""The disk held against the catalog, without opening a file: what is new, changed, gone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...core.progress import Progress
from ...engine.remote.urls import is_address
from ..catalog.base import Catalog, Reader, Writer
from ..catalog.records import PathEntry
from ..decoding.pipeline import Listed
from ..scan.remote_walk import walk_of
from ..scan.rules import RootRules, Rules
from ..scan.walk import FileState, Folder, Walk, below, is_below
from .report import LeftOut, Skipped


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
class _Difference:
    number: int | None
    """Of the folder, in the catalog."""
    to_do: list[Listed]
    unchanged: int
    unusable: list[Skipped]
    gone: list[bytes]
    excluded: int
    """How many of them only rules leave out."""
    stale: list[bytes]


class Comparison:
    """Some folders on disk, and what a catalog (None: nothing yet) knows of them."""

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
        """Roots that were not there when they were last looked at."""

    def tally(self, progress: Progress) -> Tally:
        """Count what there is to do."""
        tally = Tally()
        seen: set[int] = set()
        walks = self._walks()
        for one in self._differences(walks, seen):
            tally.new += sum(file.is_new for file in one.to_do)
            tally.doubtful += (doubtful := sum(map(_seems_unchanged, one.to_do)))
            tally.changed += sum(not file.is_new for file in one.to_do) - doubtful
            tally.unchanged += one.unchanged
            tally.gone += len(one.gone)
            tally.left_out.indexed += one.excluded
            tally.stale += len(one.stale)
            tally.skipped += one.unusable
            progress.scanned(tally.files)
        for walk in walks:
            tally.skipped += [
                Skipped(path, "unreadable", why) for path, why in sorted(walk.unknown.items())
            ]
        if self.catalog is not None:
            with self.catalog.reading() as reader:
                for number, path in self._unseen(reader, walks, seen):
                    tally.gone += (count := len(reader.entries_in(number)))
                    tally.stale += len(reader.rejects_in(number))
                    if self._skips(walks, path):
                        tally.left_out.indexed += count
        _note_left_out(walks, tally.left_out)
        return tally

    def to_do(self) -> Iterator[Listed]:
        """The files that must be opened, folder by folder."""
        for one in self._differences(self._walks(), set()):
            for file in one.to_do:
                yield replace(file, listed_ns=time.time_ns())

    def sweep(self) -> int:
        """Remove paths that are gone from the catalog; returns how many there were."""
        assert self.catalog is not None
        removed = 0
        seen: set[int] = set()
        walks = self._walks()
        for one in self._differences(walks, seen):
            if one.number is not None and (one.gone or one.stale):
                removed += self.catalog.write(_removal(one.number, [*one.gone, *one.stale]))
        with self.catalog.reading() as reader:
            unseen = [number for number, _ in self._unseen(reader, walks, seen)]
        for number in unseen:
            with self.catalog.reading() as reader:
                names = [*reader.entries_in(number), *reader.rejects_in(number)]
            removed += self.catalog.write(_removal(number, names))
        return removed

    def _walks(self) -> list[Walk]:
        rules = self.rules
        return [
            walk_of(
                root, rules if isinstance(rules, Rules) else rules[root], self._not_entered(root)
            )
            for root in self.roots
        ]

    def _not_entered(self, root: bytes) -> frozenset[bytes]:
        below = [other for other in self.roots if other != root and is_below(other, root)]
        return frozenset(below if self.store is None else [self.store, *below])

    def _differences(self, walks: Sequence[Walk], seen: set[int]) -> Iterator[_Difference]:
        """Each folder with pictures, and what is different there; `seen` gathers the numbers of
        those that the catalog knows."""
        for walk in walks:
            for folder in walk:
                yield self._difference(walk, folder, seen)
            if walk.is_missing:
                self.missing.add(walk.root)
            self._question(walk, walks)

    def _question(self, walk: Walk, walks: Sequence[Walk]) -> None:
        """Doubt a root that is empty or missing though pictures are indexed below it: its disk
        may be absent. One that is missing from another root's folder was moved or deleted."""
        if self.allow_empty or self.catalog is None or walk.root in walk.unknown:
            return
        if not (walk.is_empty or walk.is_missing):
            return
        if walk.is_missing and any(
            is_below(walk.root, other.root) and not other.is_missing and not other.is_empty
            for other in walks
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

    def _difference(self, walk: Walk, folder: Folder, seen: set[int]) -> _Difference:
        if self.catalog is None:
            new = [_listed(folder, *item, None) for item in folder.files.items()]
            return _Difference(None, new, 0, [], [], 0, [])
        with self.catalog.reading() as reader:
            number = reader.folder_number(folder.path)
            entries = {} if number is None else reader.entries_in(number)
            rejects = {} if number is None else reader.rejects_in(number)
        if number is not None:
            seen.add(number)
        to_do, unusable, unchanged = [], [], 0
        for name, state in folder.files.items():
            entry = entries.get(name)
            if entry is not None and entry.state == state and not self.checksum:
                unchanged += 1  # most of them: nothing is made for these
                continue
            file, reject = _listed(folder, name, state, entry), rejects.get(name)
            refused = reject and (reject.state, reject.codecs) == (state, self.codecs)
            if reject and refused and not self.checksum:
                unusable.append(Skipped(file.path, reject.reason, reject.message))
            else:
                to_do.append(file)
        gone = [name for name in entries if name not in folder.files] if folder.complete else []
        stale = [name for name in rejects if name not in folder.files] if folder.complete else []
        where = below(folder.path, walk.root)
        excluded = sum(walk.selection.skips(os.path.join(where, name), False) for name in gone)
        return _Difference(number, to_do, unchanged, unusable, gone, excluded, stale)

    def _unseen(
        self, reader: Reader, walks: Sequence[Walk], seen: set[int]
    ) -> Iterator[tuple[int, bytes]]:
        """Folders of the catalog that the walks would have met if they still held pictures."""
        for number, path in reader.folders():
            if number not in seen and any(walk.covers(path) for walk in walks):
                yield number, path

    def _skips(self, walks: Sequence[Walk], folder: bytes) -> bool:
        """Whether rules leave out a folder that walks vouch for."""
        return any(
            walk.covers(folder) and walk.selection.skips_any(below(folder, walk.root), True)
            for walk in walks
        )


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


def _listed(folder: Folder, name: bytes, state: FileState, entry: PathEntry | None) -> Listed:
    return Listed(folder.path, name, state, entry is None, entry, listed_ns=0)


def _seems_unchanged(file: Listed) -> bool:
    return file.entry is not None and file.entry.state in (file.state, file.state.doubtful)


def _removal(folder: int, names: Sequence[bytes]) -> Callable[[Writer], int]:
    """Work for one transaction: forget these files of a folder; returns how many were places."""

    def work(writer: Writer) -> int:
        entries = writer.entries_in(folder)
        for name in names:
            writer.remove_entry(folder, name)
        writer.remove_empty_folder(folder)
        return sum(name in entries for name in set(names))

    return work

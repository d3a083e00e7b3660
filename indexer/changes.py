"""The disk held against the catalog, without opening a file: what is new, changed, gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import TllError
from ..names import shown
from .catalog import Catalog
from .pipeline import File
from .reader import Reader
from .report import Progress, Skipped
from .walk import Folder, Rules, Walk, is_below
from .writer import Writer

_PER_TRANSACTION = 10_000


@dataclass
class Tally:
    """How much there is to do."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    """Files that are known to be unusable and have not changed; folders that can't be listed."""

    @property
    def to_do(self) -> int:
        """Files that must be opened."""
        return self.new + self.changed

    @property
    def files(self) -> int:
        """Picture files that are there."""
        return self.to_do + self.unchanged + len(self.skipped)


@dataclass(frozen=True)
class _Difference:
    to_do: list[File]
    unchanged: int
    unusable: list[Skipped]
    gone: list[bytes]


class Comparison:
    """Some folders on disk, and what a catalog (None: nothing yet) knows of them."""

    def __init__(
        self,
        roots: Sequence[bytes],
        rules: Rules,
        store: bytes,
        catalog: Catalog | None,
        codecs: str,
    ) -> None:
        """`store`: its folder, never walked into; `codecs`: which decoders and limits there are:
        a file that others gave up on is tried again."""
        self.roots = roots
        self.rules = rules
        self.store = store
        self.catalog = catalog
        self.codecs = codecs

    def tally(self, progress: Progress, allow_empty: bool) -> Tally:
        """Count what there is to do.

        Raises:
            TllError: a folder that held pictures has no entry at all now, as the mount point of
                an absent disk; unless `allow_empty`.
        """
        tally = Tally()
        seen: set[int] = set()
        walks = self._walks()
        for _, difference in self._differences(walks, seen):
            tally.new += sum(file.is_new for file in difference.to_do)
            tally.changed += sum(not file.is_new for file in difference.to_do)
            tally.unchanged += difference.unchanged
            tally.gone += len(difference.gone)
            tally.skipped += difference.unusable
            progress.scanned(tally.files)
        for walk in walks:
            for path, reason in sorted(walk.unreadable.items()):
                tally.skipped.append(Skipped(path, "unreadable", f"can't be listed: {reason}"))
            if walk.is_empty and not allow_empty and not walk.unreadable:
                self._refuse_if_known(walk.root)
        if self.catalog is not None:
            with self.catalog.reading() as reader:
                for number, _ in self._unseen(reader, walks, seen):
                    tally.gone += len(reader.places_in(number))
        return tally

    def to_do(self) -> Iterator[File]:
        """The files that are new or changed, folder by folder."""
        for _, difference in self._differences(self._walks(), set()):
            yield from difference.to_do

    def sweep(self) -> int:
        """Remove paths that are gone from the catalog; returns how many there were. Whatever
        lies below a folder that can't be listed is unknown, not gone, and stays."""
        assert self.catalog is not None
        removed = 0
        seen: set[int] = set()
        walks = self._walks()
        for folder, difference in self._differences(walks, seen):
            if difference.gone:
                removed += self.catalog.write(_removal(folder.path, difference.gone))
        with self.catalog.reading() as reader:
            unseen = list(self._unseen(reader, walks, seen))
        for number, path in unseen:
            with self.catalog.reading() as reader:
                names = [*reader.places_in(number), *reader.rejects_in(number)]
            removed += self.catalog.write(_removal(path, names))
        return removed

    def _walks(self) -> list[Walk]:
        return [Walk(root, self.rules, self.store) for root in self.roots]

    def _differences(
        self, walks: Sequence[Walk], seen: set[int]
    ) -> Iterator[tuple[Folder, _Difference]]:
        """Each folder with pictures, and what is different there; `seen` gathers the numbers of
        those that the catalog knows."""
        for walk in walks:
            for folder in walk:
                yield folder, self._difference(folder, seen)

    def _difference(self, folder: Folder, seen: set[int]) -> _Difference:
        if self.catalog is None:
            return _Difference(
                [File(folder.path, *item, is_new=True) for item in folder.files.items()], 0, [], []
            )
        with self.catalog.reading() as reader:
            number = reader.folder_number(folder.path)
            places = {} if number is None else reader.places_in(number)
            rejects = {} if number is None else reader.rejects_in(number)
        if number is not None:
            seen.add(number)
        to_do, unusable, unchanged = [], [], 0
        for name, state in folder.files.items():
            file = File(folder.path, name, state, is_new=name not in places)
            if not file.is_new and places[name].state == state:
                unchanged += 1
            elif (
                (reject := rejects.get(name)) is not None
                and reject.state == state
                and reject.codecs == self.codecs
            ):
                unusable.append(Skipped(file.path, reject.reason, reject.message))
            else:
                to_do.append(file)
        gone = [name for name in (*places, *rejects) if name not in folder.files]
        return _Difference(to_do, unchanged, unusable, gone)

    def _unseen(
        self, reader: Reader, walks: Sequence[Walk], seen: set[int]
    ) -> Iterator[tuple[int, bytes]]:
        """Folders of the catalog that the walks would have met if they still held pictures."""
        for number, path in reader.folders():
            if number not in seen and any(walk.covers(path) for walk in walks):
                yield number, path

    def _refuse_if_known(self, root: bytes) -> None:
        if self.catalog is None:
            return
        with self.catalog.reading() as reader:
            known = sum(
                len(reader.places_in(number))
                for number, path in reader.folders()
                if is_below(path, root)
            )
        if known:
            raise TllError(
                f"{shown(root)} is empty now, but {known} pictures are indexed below it; is its "
                "disk mounted? If they are really gone, say --allow-empty"
            )


def _removal(folder: bytes, names: Sequence[bytes]) -> Callable[[Writer], int]:
    """Work for one transaction: forget these files of a folder; returns how many were places."""

    def work(writer: Writer) -> int:
        number = writer.folder(folder)
        places = writer.places_in(number)
        for name in names:
            writer.remove_place(number, name)
        writer.remove_empty_folder(number)
        return sum(name in places for name in set(names))

    return work

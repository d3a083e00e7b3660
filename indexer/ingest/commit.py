"""Prepared files -> vectors -> catalog: one batch through the backbone, one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

from ...core import signals
from ...core.contracts import UnitVectors
from ...core.progress import Progress
from ...engine.backbones.runtime import pictures_a_pass
from ..catalog.base import Writer
from ..catalog.records import ImageRecord, PathEntry, Reject
from ..decoding.pipeline import File, Listed, Prepared
from ..scan.presence import is_absent, is_gone
from ..scan.same_files import again_of_one_file
from ..scan.walk import FileState, is_below
from ..store.store import Store
from .report import BuildReport, Skipped

_CHEAP_PER_TRANSACTION = 1024
"""Files that need no embedding (moved, copied, unusable) are committed this many at a time."""

_PASSING = ("missing", "unreadable")
"""Reasons that may be gone next time though the file is the same: never remembered."""

_EXAMINED = 16
"""Of a picture's other paths, how many are looked at to tell a move from a copy: some pictures
have ten thousand copies."""


_COUNTS = ("added", "copies", "links", "updated", "unchanged", "moved", "removed")


@dataclass
class _Batch:
    """Files that are committed together."""

    files: list[Prepared] = field(default_factory=list)
    fresh: dict[bytes, Prepared] = field(default_factory=dict)
    """Of the files, the first of each content that had no vector when it was decoded."""


class Intake:
    """The way of prepared files into a store: in order, committed batch by batch."""

    def __init__(
        self,
        store: Store,
        codecs: str,
        report: BuildReport,
        progress: Progress,
        grown: Callable[[], None],
        batch_size: int | None = None,
    ) -> None:
        """
        Args:
            grown: called after each batch that brought new images.
            batch_size: new images a transaction; default: as many as go through the network at
                once.
        """
        self._store = store
        self._catalog = store.catalog
        self._a_pass = pictures_a_pass(store.settings)
        least = 1 if store.settings.batch_size else store.catalog.least_batch
        self._batch_size = max(batch_size or self._a_pass, least)
        self._codecs = codecs
        self._roots = store.roots()
        self._is_absent = cache(is_absent)  # for this build: disks come and go
        self._report = report
        self._progress = progress
        self._grown = grown

    def is_known(self, sha256: bytes) -> bool:
        """Whether this content has a vector already. Safe to call from any thread."""
        with self._catalog.reading() as reader:
            return reader.image_of(sha256) is not None

    def take(self, files: Iterable[Prepared]) -> None:
        """Embed and commit all of `files`. Where it is cut short, whole batches stay committed."""
        batch = _Batch()
        for file in files:
            with signals.whole():
                batch.files.append(file)
                if file.picture is not None:
                    batch.fresh.setdefault(file.sha256, file)
            if (
                len(batch.fresh) >= self._batch_size
                or len(batch.files) >= self._batch_size + _CHEAP_PER_TRANSACTION
            ):
                self._commit(batch)
                batch = _Batch()
        if batch.files:
            self._commit(batch)

    def _was_left(self, path: bytes) -> bool:
        """Whether a file that was at `path` is there no more, by all that one can tell: a disk
        that is absent took none away."""
        root = max((root for root in self._roots if is_below(path, root)), key=len, default=None)
        return is_gone(path) and (root is None or not self._is_absent(root))

    def _commit(self, batch: _Batch) -> None:
        with self._catalog.reading() as reader:  # what came meanwhile is not made again
            for content in reader.known(batch.fresh):
                del batch.fresh[content]
        vectors = self._vectors(batch)
        with signals.whole():  # what is committed is counted
            counts = self._catalog.write(lambda writer: self._record(writer, batch, vectors))
            self._report.embedded += len(batch.fresh)
            for name in _COUNTS:
                found = getattr(self._report, name) + getattr(counts, name)
                setattr(self._report, name, found)
            self._report.skipped += [
                Skipped(file.file.path, file.error.reason, file.error.message)
                for file in batch.files
                if file.error is not None
            ]
            self._progress.advance(len(batch.files))
            if batch.fresh:
                self._grown()

    def _vectors(self, batch: _Batch) -> dict[bytes, tuple[UnitVectors, ...]]:
        """Of all that is fresh, by content: as they came, or made here, by as many passes as it
        takes."""
        vectors = {sha256: one.vectors for sha256, one in batch.fresh.items()}
        rest = [sha256 for sha256, known in vectors.items() if not known]
        for start in range(0, len(rest), self._a_pass):
            some = rest[start : start + self._a_pass]
            pictures = [picture for one in some if (picture := batch.fresh[one].picture)]
            # The network is loaded here and not before: a build that only moves never needs it.
            spaces = self._store.encode_spaces(pictures)
            vectors.update(zip(some, zip(*spaces, strict=True), strict=True))
        return vectors

    def _record(
        self, writer: Writer, batch: _Batch, vectors: dict[bytes, tuple[UnitVectors, ...]]
    ) -> BuildReport:
        counts = BuildReport()
        writer.foresee(
            [one.sha256 for one in batch.files if one.sha256],
            [one.file.path for one in batch.files],
        )
        for prepared in batch.files:
            file = prepared.file
            if prepared.error is None:
                image = writer.image_of(prepared.sha256)
                if image is None:
                    image = _add(writer, batch.fresh[prepared.sha256], vectors[prepared.sha256])
                _set_entry(writer, prepared, image, self._was_left, counts)
            elif prepared.error.reason not in _PASSING:
                error = prepared.error
                writer.reject(
                    writer.folder(file.folder),
                    file.name,
                    Reject(state_of(file), error.reason, error.message, self._codecs),
                )
        return counts


def _add(writer: Writer, prepared: Prepared, vectors: tuple[UnitVectors, ...]) -> int:
    picture = prepared.picture
    assert picture is not None
    record = ImageRecord(
        prepared.sha256.hex(), picture.width, picture.height, picture.format, prepared.file_bytes
    )
    return writer.add_image(prepared.sha256, record, *vectors)


def _set_entry(
    writer: Writer,
    prepared: Prepared,
    image: int,
    was_left: Callable[[bytes], bool],
    counts: BuildReport,
) -> None:
    file = prepared.file
    known = file.entry if isinstance(file, Listed) else None
    now = PathEntry(state_of(file), image)
    if known is not None and known.image == image:
        counts.unchanged += 1
        if known != now:
            writer.set_entry(writer.folder(file.folder), file.name, *now)
        return
    known_paths = writer.paths_of(image, at_most=_EXAMINED)
    elsewhere = [path for path in known_paths if path != file.path]
    left = next((path for path in elsewhere if was_left(path)), None)
    if left is not None:
        writer.remove_path(left)
    if not file.is_new:
        counts.updated += 1
        counts.removed += left is not None
    elif left is not None:
        counts.moved += 1
    else:
        counts.added += 1
        counts.copies += bool(elsewhere)
        counts.links += again_of_one_file([*elsewhere, file.path])[-1]
    writer.set_entry(writer.folder(file.folder), file.name, *now)


def state_of(file: File) -> FileState:
    """To remember."""
    return file.state.to_record(file.listed_ns) if isinstance(file, Listed) else file.state

"""What a store's catalog can be asked and told, wherever it is: LMDB in a folder, or a Milvus.

    Catalog   the truth about which pictures are indexed: read through `reading`, told by `write`
    Reader    what it knows; in a folder all of one moment, in a Milvus as it is when it is asked
    Writer    a Reader that also changes what is known

An image is the SHA-256 of a file's bytes, with a number above 0; paths show images. What
is read may raise `StoreDamagedError`, and whatever goes through a network `StoreError`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.errors import StoreDamagedError
from ..scan.walk import FileState, is_below
from .records import CopyState, ImageRecord, PathEntry, Reject
from .spaces import LENS_TABLE

_T = TypeVar("_T")

_COPIED_FROM, _UNFINISHED = "copied from", "unfinished copy"
"""Names of a copy's state in the note that index settings are in, too."""


class Reader(ABC):
    """What the catalog knows, to be read."""

    @abstractmethod
    def of_space(self, table: str) -> Reader:
        """The same, with the vectors of this space."""

    # -- the whole ---------------------------------------------------------

    @property
    @abstractmethod
    def transaction(self) -> int:
        """Another one after each change."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """Grows with every change of which vectors there are."""

    @abstractmethod
    def token(self, generation: int) -> bytes | None:
        """What tells this generation from one of the same number in another past (a catalog that
        was restored from a copy has two); None for one long ago."""

    @property
    @abstractmethod
    def images(self) -> int:
        """How many images have a vector."""

    @property
    @abstractmethod
    def orphans(self) -> int:
        """How many of them no path shows any more (a build that was cut short leaves some)."""

    @property
    @abstractmethod
    def entries(self) -> int:
        """How many indexed paths there are."""

    @property
    @abstractmethod
    def rejected(self) -> int:
        """How many files are known to be unusable."""

    @abstractmethod
    def roots(self) -> list[bytes]:
        """The folders that were built from."""

    @abstractmethod
    def about(self) -> dict[str, Any] | None:
        """What was last said of the store by `Writer.set_about`; JSON values."""

    @property
    @abstractmethod
    def wiping(self) -> bool:
        """Whether pictures were forgotten whose bytes may still be in files of the store."""

    def index_settings(self) -> dict[str, Any]:
        """What was asked for of this store's index; JSON values."""
        note = self.index_note()
        return {key: value for key, value in note.items() if key not in (_COPIED_FROM, _UNFINISHED)}

    @property
    def copy_state(self) -> CopyState | None:
        """Of which store this one is a copy; None of a store that is none."""
        note = self.index_note()
        if (origin := note.get(_COPIED_FROM)) is None:
            return None
        return CopyState(str(origin), bool(note.get(_UNFINISHED)))

    @abstractmethod
    def index_note(self) -> dict[str, Any]:
        """What `index_settings` and `copy_state` are read from: stores keep both in one note."""

    # -- folders and paths -------------------------------------------------

    @abstractmethod
    def folders(self) -> Iterator[tuple[int, bytes]]:
        """Every folder that files were seen in: number, absolute path."""

    @abstractmethod
    def folder_number(self, path: bytes) -> int | None:
        """The number of a folder, by absolute path."""

    @abstractmethod
    def entries_in(self, folder: int) -> dict[bytes, PathEntry]:
        """The indexed files of one folder, by name."""

    @abstractmethod
    def images_in(self, folder: int) -> Iterator[tuple[bytes, int]]:
        """The indexed files of one folder: name, image number."""

    def images_in_all(self, folders: Sequence[int]) -> Iterator[tuple[int, bytes, int]]:
        """The indexed files of several folders: folder, name, image number."""
        for folder in folders:
            for name, image in self.images_in(folder):
                yield folder, name, image

    @abstractmethod
    def rejects_in(self, folder: int) -> dict[bytes, Reject]:
        """The unusable files of one folder, by name."""

    @abstractmethod
    def file_in(self, folder: int, name: bytes) -> PathEntry | Reject | None:
        """What is known of one file of a folder."""

    @abstractmethod
    def paths_of(self, image: int, at_most: int | None = None) -> list[bytes]:
        """Absolute paths that show this image, sorted; `at_most` so many of them, any."""

    @abstractmethod
    def entries_of(self, image: int) -> list[tuple[bytes, PathEntry]]:
        """The path entries that show this image: absolute path, and what is known of the file
        there; sorted."""

    # -- images and vectors ------------------------------------------------

    def fetch(self, images: Iterable[int], *, paths: bool = True) -> None:  # noqa: B027
        """Say which images will be asked about, their metadata and `paths`: a catalog that is far
        away then looks them all up at once. The others look up what they are asked for."""

    @abstractmethod
    def image_of(self, sha256: bytes) -> int | None:
        """The image with this content (32-byte digest)."""

    def known(self, contents: Iterable[bytes]) -> set[bytes]:
        """Those of `contents` (SHA-256) that are images."""
        return {content for content in contents if self.image_of(content) is not None}

    @abstractmethod
    def image(self, number: int) -> ImageRecord | None:
        """Metadata of an image."""

    def record(self, number: int) -> ImageRecord:
        """The same, of one that must be there.

        Raises:
            StoreDamagedError: it isn't.
        """
        if (record := self.image(number)) is None:
            raise StoreDamagedError(
                f"the catalog has lost the record of image {number}; 'tll-index repair' mends it"
            )
        return record

    @abstractmethod
    def is_orphan(self, number: int) -> bool:
        """Whether no path shows this image any more."""

    @abstractmethod
    def orphan_numbers(self) -> NDArray[np.int64]:
        """(n,) int64, ascending: the images that no path shows any more."""

    @abstractmethod
    def image_numbers(self, after: int = 0) -> NDArray[np.int64]:
        """(n,) int64, ascending: every image that has a vector, from number `after` + 1 on."""

    @abstractmethod
    def drawn(self, count: int) -> list[int]:
        """Different numbers by chance, at most `count`, that images may have."""

    def vectors(self, numbers: Iterable[int]) -> UnitVectors:
        """(n, d) float32: the vectors of these images.

        Raises:
            KeyError: one of them has none.
            ValueError: they are not all of one length.
        """
        found, vectors = self.vectors_there(wanted := np.fromiter(numbers, np.int64))
        if len(found) < len(wanted):
            raise KeyError(int(np.setdiff1d(wanted, found)[0]))
        return vectors

    @abstractmethod
    def vectors_there(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], UnitVectors]:
        """Those of `numbers` that have a vector, in the same order, and (n, d) float32 these.

        Raises:
            ValueError: they are not all of one length.
        """

    @abstractmethod
    def vectors_from(self, after: int, at_most: int) -> tuple[NDArray[np.int64], UnitVectors]:
        """The next `at_most` images with a vector after number `after`, and (n, d) float32 these.

        Raises:
            ValueError: they are not all of one length.
        """


class Writer(Reader):
    """A Reader that also changes what is known; it reads what it has written."""

    def foresee(self, contents: Iterable[bytes], paths: Iterable[bytes]) -> None:
        """Say which contents (SHA-256) and files this write is about: a catalog that is far away
        then looks them all up at once. The others look up what they are asked for."""

    @abstractmethod
    def set_about(self, document: dict[str, Any]) -> None:
        """Remember what `About.document` says; JSON values."""

    @abstractmethod
    def set_wiping(self, due: bool) -> None:
        """Remember whether bytes of forgotten pictures are to be wiped."""

    def set_index_settings(self, settings: dict[str, Any]) -> None:
        """Remember what was asked for of this store's index; JSON values."""
        note = self.index_note()
        kept = {key: note[key] for key in (_COPIED_FROM, _UNFINISHED) if key in note}
        self.set_index_note({**settings, **kept})

    def set_copy_state(self, state: CopyState) -> None:
        """Remember of which store this one is a copy."""
        unfinished = {_UNFINISHED: True} if state.unfinished else {}
        self.set_index_note({**self.index_settings(), _COPIED_FROM: state.origin, **unfinished})

    @abstractmethod
    def set_index_note(self, note: dict[str, Any]) -> None:
        """Remember what `index_note` gives."""

    @abstractmethod
    def set_roots(self, roots: Iterable[bytes]) -> None:
        """Remember the folders that are built from."""

    def forget_roots(self, is_there: Callable[[bytes], bool]) -> None:
        """Forget the roots that aren't there and below which nothing is indexed."""
        folders = [path for _, path in self.folders()]
        self.set_roots(
            root
            for root in self.roots()
            if is_there(root) or any(is_below(path, root) for path in folders)
        )

    @abstractmethod
    def folder(self, path: bytes) -> int:
        """The number of a folder, given now if it has none."""

    @abstractmethod
    def add_image(
        self,
        sha256: bytes,
        record: ImageRecord,
        vector: np.ndarray,
        text: np.ndarray | None = None,
    ) -> int:
        """Add an image; returns its number. Content that is already there keeps its number and
        vectors.

        Args:
            vector: (d,) float32.
            text: (j,) float32, its text embedding, in a store with a text space.
        """

    @abstractmethod
    def set_entry(self, folder: int, name: bytes, state: FileState, image: int) -> None:
        """Say that the file `name` in `folder` shows `image`."""

    @abstractmethod
    def remove_entry(self, folder: int, name: bytes) -> None:
        """Forget a path; the image stays until `Catalog.remove_orphans`."""

    def remove_path(self, path: bytes) -> None:
        """`remove_entry` by absolute path; an emptied folder is forgotten with it."""
        if (folder := self.folder_number(os.path.dirname(path))) is not None:
            self.remove_entry(folder, os.path.basename(path))
            self.remove_empty_folder(folder)

    @abstractmethod
    def remove_empty_folder(self, number: int) -> None:
        """Forget a folder that holds no path entry and no reject any more."""

    @abstractmethod
    def reject(self, folder: int, name: bytes, reject: Reject) -> None:
        """Say that a file can't be used, so that it isn't opened again until it changes."""


class Catalog(ABC):
    """The truth about which pictures are indexed, their vectors, their paths."""

    least_batch: int = 1
    """So many new pictures make a write worth its while."""

    @abstractmethod
    def reading(self, space: str = LENS_TABLE) -> AbstractContextManager[Reader]:
        """Ask it; never blocks a writer, nor waits for one.

        Args:
            space: the table that `Reader.vectors` and its like read.
        """

    @abstractmethod
    def write(self, work: Callable[[Writer], _T]) -> _T:
        """Run `work`, then keep what it said; where it raises, nothing is kept. It may run more
        than once, so it changes nothing but what the writer keeps. For the store's one writer.

        Raises:
            StoreError: it can't be written.
        """

    @abstractmethod
    def remove_orphans(self) -> int:
        """Delete the images that no path shows; returns how many. For the store's one writer."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; a second time does nothing."""

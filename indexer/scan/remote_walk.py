"""Folders at addresses -> the picture files in them, as `walk.py` does it for folders on disk.

One folder is listed at a time. What can't be listed is unknown, never gone: least of all
because a host can't be reached.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from ...core.errors import AddressError, MissingAddressError, TllError
from ...core.names import shown
from ...engine.images.decode import SUFFIXES
from ...engine.images.file_kinds import PICTURE_KINDS, ending_of
from ...engine.remote.entries import Entry
from ...engine.remote.fsspec_io import entries
from ...engine.remote.urls import is_address
from .rules import RootRules, Rules
from .walk import LONGEST_NAME, UNKNOWN_TIME, FileState, Folder, Walk, below

_DEEPEST = 64
"""Folders below each other that are entered: a host may make them up, without end."""


def walk_of(root: bytes, rules: Rules | RootRules, skip: frozenset[bytes]) -> Walk:
    """A walk of a folder, on disk or at an address."""
    return (AddressWalk if is_address(root) else Walk)(root, rules, skip)


class AddressWalk(Walk):
    """One pass over the pictures below an address."""

    _of_root: list[Entry] | None = None
    """What the root holds, where it was listed already."""

    def list_root(self) -> None:
        """List the root now, before the walk, which goes on from there.

        Raises:
            TllError: it is not there, or can't be listed, and why.
        """
        try:
            self._of_root = self._entries(self.root)
        except MissingAddressError:
            raise TllError(f"{shown(self.root)} does not exist, or is empty") from None

    def __iter__(self) -> Iterator[Folder]:
        waiting = [(self.root, 0)]
        while waiting:
            path, depth = waiting.pop()
            files: dict[bytes, FileState] = {}
            folders: list[bytes] = []
            try:
                listed, self._of_root = self._of_root, None
                for entry in self._entries(path) if listed is None else listed:
                    name = os.fsencode(entry.name)
                    if entry.is_folder:
                        folders.append(path + b"/" + name)
                    else:
                        files[name] = _state(entry)
            except MissingAddressError:
                self.is_missing = self.is_missing or path == self.root
            except AddressError as error:
                self.unknown[path] = f"can't be listed: {error.what}"
            except TllError as error:
                self.unknown[path] = f"can't be listed: {error}"
            if files:
                yield Folder(path, dict(sorted(files.items())), path not in self.unknown)
            if depth < _DEEPEST:
                waiting.extend((folder, depth + 1) for folder in sorted(folders, reverse=True))
            else:
                self.unknown.update(dict.fromkeys(folders, "lies too deep to be listed"))

    def _entries(self, folder: bytes) -> list[Entry]:
        def wanted(text: str, is_folder: bool) -> bool:
            if folder == self.root:
                self.is_empty = False
            name = os.fsencode(text)
            path = folder + b"/" + name
            ending = b"" if is_folder else ending_of(name)
            if not (is_folder or ending in SUFFIXES or ending in PICTURE_KINDS):
                return False
            if self.skips_name(path, name, is_folder) or self.selection.skips_path(
                below(path, self.root), is_folder
            ):
                return False
            if is_folder:
                return path not in self.skip
            if ending not in SUFFIXES:
                self.unread.setdefault(folder, []).append(name)
                return False
            if len(name) > LONGEST_NAME:
                self.unknown[path] = "its name is too long to be indexed"
                return False
            return True

        return entries(folder, wanted)


def listed_states(folder: bytes, names: Container[bytes]) -> dict[bytes, FileState]:
    """Those files of one folder at an address that have one of these names, as they are now.

    Raises:
        AddressError: it can't be listed. `MissingAddressError`: it is not there.
        TllError: a package is missing; the message names it.
    """

    def wanted(text: str, is_folder: bool) -> bool:
        return not is_folder and os.fsencode(text) in names

    return {os.fsencode(entry.name): _state(entry) for entry in entries(folder, wanted)}


def _state(entry: Entry) -> FileState:
    return FileState.of(entry.size, UNKNOWN_TIME if entry.stamp is None else entry.stamp)

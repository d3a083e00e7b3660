"""Signatures in addresses that an older version imported: taken out by whoever writes next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count

from ...engine.remote.urls import is_address, is_signed, unsigned
from ..catalog.base import Catalog, Reader, Writer
from ..catalog.records import PathEntry

_FOLDERS = 4096
"""Whose files are looked at together."""

_Signed = tuple[int, bytes, bytes]
"""Number of its folder, name, whole address."""


def remove_signatures(catalog: Catalog) -> int:
    """Give pictures at signed addresses the addresses without their signatures; returns how many.
    Their bytes are then to be wiped, which is noted. For the store's one writer."""
    with catalog.reading() as reader:
        folders = {number: path for number, path in reader.folders() if is_address(path)}
    numbers, found = list(folders), 0
    for start in range(0, len(numbers), _FOLDERS):
        with catalog.reading() as reader:
            some = list(_signed_in(reader, numbers[start : start + _FOLDERS], folders))
        if some:
            catalog.write(partial(_rename, some=some))
            found += len(some)
    return found


def _signed_in(
    reader: Reader, numbers: Sequence[int], folders: dict[int, bytes]
) -> Iterator[_Signed]:
    for number, name, _ in reader.images_in_all(numbers):
        # A signature may hold slashes: then part of it is in the folder.
        if is_signed(path := os.path.join(folders[number], name)):
            yield number, name, path


def _rename(writer: Writer, some: Sequence[_Signed]) -> None:
    writer.set_wiping(True)
    for number, name, path in some:
        known = writer.file_in(number, name)
        if isinstance(known, PathEntry):
            folder, now = os.path.split(_free(writer, unsigned(path), known.image))
            writer.set_entry(writer.folder(folder), now, *known)
            writer.remove_entry(number, name)
    for number in {number for number, _, _ in some}:
        writer.remove_empty_folder(number)


def _free(writer: Writer, address: bytes, image: int) -> bytes:
    """The address, or one made of it where that shows another picture."""
    if address.count(b"/") < 3:  # nothing was behind the host but the signature
        address += b"/-"
    for number in count(1):
        path = address + (f"~{number}".encode() if number > 1 else b"")
        folder, name = os.path.split(path)
        inside = writer.folder_number(folder)
        known = None if inside is None else writer.file_in(inside, name)
        if not isinstance(known, PathEntry) or known.image == image:
            break
    return path

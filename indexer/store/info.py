"""What a store can say of itself and of the pictures that it holds."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...core.contracts import Indexed
from ...core.errors import NotIndexedError
from ...engine.backbones.processor import why_slow_in_8_bits
from ...engine.backbones.registry import quality_of
from ...engine.lens.identity import ModelIdentity
from ..backends.base import Backend
from ..backends.remembered_rules import remembered
from ..catalog.base import Reader

_MOST_PATHS = 100_000
"""Up to so many paths it is counted how many files they are of: some seconds, if all are links."""
_AT_A_TIME = 512
"""Images whose paths are looked up at once."""


def number_of(reader: Reader, sha256: str) -> int:
    """The image with this content (see `Hit.sha256`), which some path shows.

    Raises:
        NotIndexedError: there is none.
    """
    is_digest = re.fullmatch("[0-9a-f]{64}", sha256)
    number = reader.image_of(bytes.fromhex(sha256)) if is_digest else None
    if number is None or not reader.paths_of(number, 1):
        raise NotIndexedError(f"the store has no picture {sha256[:64]!r}")
    return number


def indexed(reader: Reader, number: int) -> Indexed:
    """What the catalog knows of an image.

    Raises:
        StoreDamagedError: it has lost the record.
    """
    record = reader.record(number)
    paths = tuple(os.fsdecode(path) for path in reader.paths_of(number))
    return Indexed(
        record.sha256, paths, record.width, record.height, record.format, record.file_bytes
    )


def sampled(reader: Reader, count: int, seed: int = 0) -> Iterator[Indexed]:
    """`count` images that some path shows (or all there are), by chance but the same each time."""
    numbers = [int(number) for number in reader.image_numbers()]
    random.Random(seed).shuffle(numbers)
    reader.fetch(numbers[:count])
    shown = (number for number in numbers if reader.paths_of(number, 1))
    for number in islice(shown, count):
        yield indexed(reader, number)


def files_of(reader: Reader) -> int | None:
    """How many files the indexed paths are of, as links are now; None where that would take long.
    A path at which nothing can be looked at counts as a file."""
    from ..scan.same_files import again_of_one_file

    again = 0
    if reader.entries > reader.images - reader.orphans:
        if reader.entries > _MOST_PATHS:
            return None
        numbers = reader.image_numbers().tolist()
        for start in range(0, len(numbers), _AT_A_TIME):
            reader.fetch(some := numbers[start : start + _AT_A_TIME])
            for number in some:
                if len(paths := reader.paths_of(number)) > 1:
                    again += sum(again_of_one_file(paths))
    return reader.entries - again


def about_store(backend: Backend, reader: Reader) -> dict[str, Any]:
    """What made a store, what it holds and what it takes (bytes); JSON values."""
    about = backend.about
    made_by, copy = about.made_by, reader.copy_state
    return {
        "store": os.fspath(backend.location),
        "format": about.format,
        "created": about.created,
        "made_with": about.made_with,
        "folders": [os.fsdecode(root) for root in reader.roots()],
        "rules": {
            os.fsdecode(root): one.said.options() for root, one in remembered(backend).items()
        },
        "images": reader.images - reader.orphans,
        "paths": reader.entries,
        "files": files_of(reader),
        "unusable_files": reader.rejected,
        "generation": reader.generation,
        "backbone": made_by.backbone,
        **({"quality": quality} if (quality := quality_of(made_by.backbone)) else {}),
        "weights_sha256": made_by.weights_sha256,
        "lens": made_by.lens_sha256,
        "dimension": made_by.dimension,
        "metric": made_by.metric,
        **({"model": made_by.recipe["model"]} if about.imported else {}),
        **({"origin": about.origin} if about.origin else {}),
        "faces": "on" if "faces" in made_by.recipe else "off",
        **({"slow_here": slow} if (slow := _slow_here(made_by)) else {}),
        **backend.info(),
        **({"unfinished copy": True} if copy is not None and copy.unfinished else {}),
    }


def _slow_here(made_by: ModelIdentity) -> str:
    return why_slow_in_8_bits() if made_by.recipe.get("precision") == "int8" else ""

"""`store.json`: which store this is, what made it, which file is its catalog.

The same is in the catalog itself, so that either can be held against the other, and the file be
written anew (`tll-index repair`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...core.config import STORE_NAME
from ...core.errors import NoStoreError, StoreDamagedError, StoreError, StoreMismatchError
from ...core.names import shown
from ...core.paths import is_file, why_hidden
from ...engine.lens.identity import ModelIdentity
from ..catalog.lmdb_environment import translated
from ..catalog.spaces import Space, lens_space, text_space
from ..scan.rules import RootRules
from .layout import ABOUT, CATALOG, is_catalog

MENDS = "; 'tll-index repair' writes it anew"

IMPORTED = "imported"
"""In the place of a backbone's name: vectors from elsewhere."""

FORMAT = 4
"""Newest version of the store's layout; a store of a newer one is refused. In 1, the catalog's
values had no checksums; the next build of such a store adds them. 3 is 2 with text embeddings,
which earlier versions would lose or mix up. 4 is either with rules, which earlier versions would
not keep: their next build would index what is to be left out. A store without these stays 2 or 3,
for those to read."""
_WITHOUT_TEXT, _WITH_TEXT = 2, 3


@dataclass(frozen=True)
class About:
    """What a store says of itself, as `store.json` has it."""

    id: bytes
    created: str
    made_with: str
    made_by: ModelIdentity
    """What made its vectors: a query embeds with exactly that."""
    weights_file: str | None = None
    """Where weights that the user named were; they are looked for there first."""
    catalog: str = CATALOG
    """Name of the catalog's file: one that is written anew takes the place of another so."""
    base: str | None = None
    """The folder that stored paths are relative to, where that isn't the store's own: in a backup,
    whose hits have the paths of the pictures wherever it lies."""
    origin: str | None = None
    """Where the vectors came from, in words; None where a build made them."""
    format: int = _WITHOUT_TEXT
    text: int | None = None
    """How many values a text embedding has; None where the store has no text space."""
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Folder that is built from, relative to the base as in the catalog -> what is looked at there
    (see `remembered`); those without rules are not in it."""

    @property
    def imported(self) -> bool:
        """Whether nobody here can make vectors like those in it."""
        return self.made_by.backbone == IMPORTED

    @property
    def dimension(self) -> int:
        """d of the stored vectors."""
        return self.made_by.dimension

    @cached_property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces that it keeps each picture in: that of its lens first."""
        embeddings = lens_space(self.id, self.dimension)
        return (embeddings,) if self.text is None else (embeddings, text_space(self.id, self.text))

    @property
    def newest(self) -> int:
        """The format that such a store now gets."""
        if self.rules:
            return FORMAT
        return _WITHOUT_TEXT if self.text is None else _WITH_TEXT

    def renewed(self, **changes: Any) -> About:
        """Of the same store, written anew in its newest format."""
        about = replace(self, **changes)
        return replace(about, format=about.newest)

    def is_of_same(self, other: About) -> bool:
        """Whether both are about the same store, made with the same."""
        return (self.id, self.made_by, self.text) == (other.id, other.made_by, other.text)

    @property
    def checked(self) -> bool:
        """Whether the catalog's values end with checksums."""
        return self.format >= 2

    def base_of(self, path: Path) -> bytes:
        """The absolute folder that the paths in the store at `path` are relative to."""
        return os.fsencode(path.parent if self.base is None else self.base)

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "format": self.format,
            "id": self.id.hex(),
            "created": self.created,
            "made_with": self.made_with,
            "made_by": self.made_by.document(),
            "weights_file": self.weights_file,
            "catalog": self.catalog,
            "base": self.base,
            "origin": self.origin,
            **({} if self.text is None else {"words": self.text}),
            **({"rules": self.rules} if self.rules else {}),
        }

    @classmethod
    def of(cls, document: dict[str, Any], where: str) -> About:
        """What `document` gave.

        Args:
            where: to be said of what is wrong with it.

        Raises:
            StoreMismatchError: a newer format.
            StoreDamagedError: no such document.
        """
        try:
            if document["format"] > FORMAT:
                raise StoreMismatchError(
                    f"{where} is of a store of format {document['format']}, made with "
                    f"{document.get('made_with', 'a newer version')}; this version reads up to "
                    f"{FORMAT}: upgrade tll-index"
                )
            about = cls(
                bytes.fromhex(document["id"]),
                str(document["created"]),
                str(document["made_with"]),
                ModelIdentity.of(document["made_by"]),
                _text_or_none(document["weights_file"]),
                str(document.get("catalog", CATALOG)),
                _text_or_none(document.get("base")),
                _text_or_none(document.get("origin")),
                int(document["format"]),
                None if (text := document.get("words")) is None else int(text),
                {str(root): dict(one) for root, one in document.get("rules", {}).items()},
            )
            if about.format < 1:
                raise ValueError("format")
            if about.text is not None and (about.text < 1 or about.format <= _WITHOUT_TEXT):
                raise ValueError("words")
            if about.rules and about.format < FORMAT:
                raise ValueError("rules")
            for one in about.rules.values():
                RootRules.from_document(one)
            if len(about.id) != 16 or about.dimension < 1 or not is_catalog(about.catalog):
                raise ValueError("id, dimension or catalog")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StoreDamagedError(f"{where} is damaged ({error!r}){MENDS}") from None
        return about


def _text_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


_MOST_BYTES = 1 << 20
"""Of `store.json`; a longer one is none."""


def write_about(path: Path, about: About) -> None:
    """Write the file at `path`."""
    path.write_text(json.dumps(about.document(), indent=2) + "\n", "utf-8")


def no_store(path: Path) -> NoStoreError:
    """What to say of a folder in which there is none."""
    if why := why_hidden(path / ABOUT):
        return NoStoreError(f"can't tell whether there is a store in {shown(path)}: {why}")
    if is_file(path / STORE_NAME / ABOUT):
        return NoStoreError(
            f"no store in {shown(path)} itself; name the one of its pictures: "
            f"--store {shown(path / STORE_NAME)}"
        )
    return NoStoreError(
        f"no store in {shown(path)}; make one with 'tll-index build DIR --store {shown(path)}'"
    )


def read_about(path: Path) -> About:
    """What made the store in the folder `path`.

    Raises:
        NoStoreError, StoreMismatchError (a newer format), StoreDamagedError
    """
    where = shown(path / ABOUT)
    try:
        with (path / ABOUT).open("rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise no_store(path) from None
    except PermissionError as error:
        raise StoreError(f"{where} can't be read: {error.strerror}") from None
    except OSError as error:
        raise translated(path / ABOUT, error) from error
    except (ValueError, RecursionError) as error:
        raise StoreDamagedError(f"{where} is damaged ({error}){MENDS}") from None
    if not isinstance(document, dict):
        raise StoreDamagedError(f"{where} is damaged{MENDS}")
    return About.of(document, where)


def catalogs_in(path: Path) -> list[Path]:
    """Files in the folder `path` that are or were a store's catalog, the newest last."""
    try:
        names = [name for name in os.listdir(path) if is_catalog(name)]
    except OSError:
        return []
    return [path / name for name in sorted(names, key=lambda name: (len(name), name))]

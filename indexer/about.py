"""`store.json`: which store this is, and what made it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NoStoreError, StoreDamagedError, StoreMismatchError
from ..names import shown
from .environment import translated
from .layout import ABOUT

FORMAT = 1
"""Version of the store's layout; a store of a newer one is refused."""


@dataclass(frozen=True)
class About:
    """What `store.json` says: which store this is and what made it."""

    id: bytes
    created: str
    made_with: str
    made_by: dict[str, Any]
    """The identity of the embedder (`Embedder.identity`): a query embeds with exactly that."""
    weights_file: str | None = None
    """Where weights that the user named were; they are looked for there first."""

    @property
    def dimension(self) -> int:
        """d of the stored vectors."""
        return int(self.made_by["dimension"])


def write_about(path: Path, about: About) -> None:
    """Write the file at `path`."""
    document = {
        "format": FORMAT,
        "id": about.id.hex(),
        "created": about.created,
        "made_with": about.made_with,
        "made_by": about.made_by,
        "weights_file": about.weights_file,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def read_about(path: Path) -> About:
    """What made the store in the folder `path`.

    Raises:
        NoStoreError, StoreMismatchError (a newer format), StoreDamagedError
    """
    try:
        document = json.loads((path / ABOUT).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NoStoreError(
            f"no store in {shown(path)}; make one with 'tll-index build DIR --store {shown(path)}'"
        ) from None
    except OSError as error:
        raise translated(path / ABOUT, error) from error
    except ValueError as error:
        raise StoreDamagedError(f"{shown(path / ABOUT)} is damaged: {error}") from None
    try:
        if document["format"] > FORMAT:
            raise StoreMismatchError(
                f"{shown(path)} is a store of format {document['format']}, made with "
                f"{document.get('made_with', 'a newer version')}; this version reads up to "
                f"{FORMAT}: upgrade tll-index"
            )
        about = About(
            bytes.fromhex(document["id"]),
            document["created"],
            document["made_with"],
            dict(document["made_by"]),
            document["weights_file"],
        )
        if not {"backbone", "lens_sha256", "metric", "weights_sha256"} <= set(about.made_by):
            raise KeyError("made_by")
        int(about.dimension)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamagedError(f"{shown(path / ABOUT)} is damaged: {error!r}") from None
    return about

"""Measurements that stay: one file each, named by all that decides it, so a study goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tll_index.core.atomic_files import replace_file

FORMAT = 1
"""To be raised when the same run would now measure otherwise and nothing in its identity tells."""


class Kept:
    """What was measured, in a folder. A run that two rows share is done once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The figures of a run; None where there are none, or not whole."""
        try:
            found = json.loads(self._path(identity).read_text("utf-8"))
            figures: dict[str, Any] = found["figures"]
            return figures if found["identity"] == _plain(identity) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, identity: dict[str, Any], figures: dict[str, Any]) -> None:
        """Keep the figures of a run; the file appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"identity": _plain(identity), "figures": figures}, indent=1) + "\n"
        write_text(self._path(identity), text)

    def _path(self, identity: dict[str, Any]) -> Path:
        text = json.dumps(_plain(identity), sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""

    def write(new: Path) -> None:
        new.write_text(text, "utf-8")

    replace_file(path, write)


def _plain(identity: dict[str, Any]) -> Any:
    """As JSON gives it back: tuples become lists."""
    return json.loads(json.dumps({"format": FORMAT, **identity}))

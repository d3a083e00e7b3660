"""A new store: its folder, with nothing in it yet."""

from __future__ import annotations

import datetime
import os
import uuid
from pathlib import Path
from typing import Any

from .. import __version__
from ..engine.lens import Lens
from .about import About
from .environment import translated
from .files import replace_file
from .folder import StoreFolder
from .layout import LENS, refuse_foreign


def new_store(
    path: Path,
    made_by: dict[str, Any],
    lens: Lens,
    weights_file: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    words: int | None = None,
) -> StoreFolder:
    """Make an empty store in the folder `path`; for its one writer.

    Args:
        made_by: the identity of what makes its vectors (see `About.made_by`).
        lens: that it makes them with.
        origin, words: see `About`.

    Raises:
        StoreError: the folder holds something else, or can't be written.
    """
    refuse_foreign(path)
    about = About(
        id=uuid.uuid4().bytes,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        made_with=f"tll-index {__version__}",
        made_by=made_by,
        weights_file=None if weights_file is None else os.path.abspath(weights_file),
        origin=origin,
        words=words,
    ).renewed()
    try:
        if lens.trained:
            replace_file(path / LENS, lens.save)
        folder = StoreFolder.create(path, about)
        try:
            folder.finish()
        except BaseException:
            folder.close()
            raise
    except OSError as error:
        raise translated(path / LENS, error) from error
    return folder

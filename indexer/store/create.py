"""A new store, with nothing in it yet."""

from __future__ import annotations

import datetime
import os
import uuid

from ...core.config import Settings
from ...core.location import Location
from ...core.version import __version__
from ...engine.lens.identity import ModelIdentity
from ...engine.lens.lens import Lens
from ..backends.base import Backend
from ..backends.metadata import About
from . import resolve


def create_store(
    location: Location,
    made_by: ModelIdentity,
    lens: Lens,
    settings: Settings,
    weights_file: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    text: int | None = None,
) -> Backend:
    """Make an empty store; for its one writer.

    Args:
        made_by: what makes its vectors.
        lens: that it makes them with.
        origin, text: see `About`.

    Raises:
        StoreError: something else is there, or it can't be written.
    """
    about = About(
        id=uuid.uuid4().bytes,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        made_with=f"tll-index {__version__}",
        made_by=made_by,
        weights_file=None if weights_file is None else os.path.abspath(weights_file),
        origin=origin,
        text=text,
    ).renewed()
    return resolve.make_backend(location, about, lens, settings)

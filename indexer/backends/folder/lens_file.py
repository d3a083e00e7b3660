"""The copy that a store keeps of the lens that made its vectors."""

from __future__ import annotations

from pathlib import Path

from ....core.errors import StoreDamagedError
from ....core.names import shown
from ....engine.lens.lens import Lens
from ..layout import LENS
from ..metadata import About


def own_lens(path: Path, about: About) -> Lens:
    """The lens of the store in the folder `path`, without its backbone.

    Raises:
        LensError: it is missing or damaged.
        StoreDamagedError: it is another one.
    """
    wanted = about.made_by.lens_sha256
    if not wanted:
        return Lens(about.made_by.backbone, about.dimension)
    lens = Lens.load(path / LENS)
    if lens.digest != wanted:
        raise StoreDamagedError(
            f"{shown(path / LENS)} is not the lens that made the store; "
            "'tll-index repair' looks for that one"
        )
    return lens

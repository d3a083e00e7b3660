"""What commands on pairs of look-alikes share: their data, and which backbone and lens they use."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import click

from .param_types import PATH

if TYPE_CHECKING:
    from ...core.config import Settings
    from ...engine.lens.lens import Lens

data_argument = click.argument("data", type=PATH, metavar="DATA")

candidates_option = functools.partial(click.option, "--candidates-file", type=PATH, metavar="CSV")


def resolve_backbone(backbone: str, settings: Settings) -> str:
    """The name of the backbone; auto is the one that `build` would choose."""
    from ...engine.lens.embedder import choose_backbone

    return choose_backbone(settings).backbone if backbone == "auto" else backbone


def resolve_lens(lens: str | None, backbone: str, settings: Settings) -> tuple[str, str, Lens]:
    """The backbone, what to call the lens, and the lens; auto is the backbone of a lens file."""
    from ...engine.lens.embedder import load_lens
    from ...engine.lens.lens import Lens, find_lens

    if lens not in (None, "none"):
        loaded = Lens.load(lens)
        name = loaded.backbone if backbone == "auto" else backbone
        return name, lens, load_lens(name, loaded, settings)
    name = resolve_backbone(backbone, settings)
    used = load_lens(name, lens, settings)
    if not used.trained:
        return name, "none", used
    found = find_lens(name, settings.lens_dir)
    if found is not None and found.parent == settings.lens_dir:
        return name, os.fspath(found), used
    return name, f"shipped sha256:{used.digest[:12]}", used

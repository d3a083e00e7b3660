"""Which libraries a backbone needs beside the core's, and whether they are here."""

from __future__ import annotations

from pathlib import Path

from ...core.config import Settings
from ...core.errors import TllError
from ...core.extras import PARTS, require_extra
from .registry import BackboneSpec
from .weights import WEIGHTS_SUFFIXES


def require_libraries(
    spec: BackboneSpec, settings: Settings | None = None, weights: Path | None = None
) -> None:
    """Refuse a backbone that the libraries installed here can't run; imports nothing.

    Args:
        settings: may want torch, which a bundled network does without.
        weights: their file, where that is known: a bundled network takes others only in torch.

    Raises:
        TllError: says how to install what is missing.
    """
    if spec.precision != "float32":  # which wants nothing else, and refuses it by itself
        return
    if spec.graph is None:
        is_ours = spec.provider.startswith(".")  # other providers may need anything
        require_extra("clip", f"backbone {spec.name}", PARTS["clip"] if is_ours else ("torch",))
    elif weights is not None and weights.suffix in WEIGHTS_SUFFIXES:
        require_extra("clip", f"{spec.name} with other weights")
    if settings is not None and settings.runtime == "torch":
        require_extra("clip", "runtime torch")
    if settings is not None and settings.device not in ("auto", "cpu"):
        require_extra("clip", f"device {settings.device}")


def is_supported(spec: BackboneSpec) -> bool:
    """Whether the libraries of a backbone are here."""
    try:
        require_libraries(spec)
    except TllError:
        return False
    return True

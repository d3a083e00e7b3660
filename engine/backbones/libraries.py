"""Which libraries a backbone needs beside the core's, and whether they are here."""

from __future__ import annotations

from ...core.config import Settings
from ...core.errors import TllError
from ...core.extras import PARTS, require_extra
from .registry import BackboneSpec
from .weights import Weights


def require_libraries(
    spec: BackboneSpec, settings: Settings | None = None, weights: Weights | None = None
) -> None:
    """Refuse a backbone that the libraries installed here can't run; imports nothing.

    Args:
        settings: may want torch, which a bundled network does without.
        weights: where they are known: a bundled network takes others only in torch.

    Raises:
        TllError: says how to install what is missing.
    """
    if spec.graph is None:
        is_ours = spec.provider.startswith(".")  # other providers may need anything
        require_extra("clip", f"backbone {spec.name}", PARTS["clip"] if is_ours else ("torch",))
    elif weights is not None and not weights.is_graph:
        require_extra("clip", f"{spec.name} with other weights")
    if settings is None or spec.precision != "float32":
        return
    if settings.runtime == "torch":
        require_extra("clip", "runtime torch")
    if settings.device not in ("auto", "cpu"):
        require_extra("clip", f"device {settings.device}")


def is_supported(spec: BackboneSpec) -> bool:
    """Whether the libraries of a backbone are here."""
    try:
        require_libraries(spec)
    except TllError:
        return False
    return True

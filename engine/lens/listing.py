"""The registry as people see it: each backbone, and whether it can be used here."""

from __future__ import annotations

from typing import Any

from ...core.config import Settings
from ..backbones.registry import quality_of, specs
from ..backbones.weights import find, how_to_get
from .lens import find_lens


def listing(settings: Settings) -> list[dict[str, Any]]:
    """One row for each backbone; JSON values only. Reads no weights."""
    rows = []
    for spec in specs():
        weights = find(spec, settings.weights_dir)
        lens = find_lens(spec.name, settings.lens_dir)
        rows.append(
            {
                "name": spec.name,
                "title": spec.title,
                "quality": quality_of(spec.name) or None,
                "parameters": spec.parameters,
                "megabytes": spec.megabytes,
                "dimension": spec.dimension,
                "words": spec.has_text_encoder,
                "input_size": spec.geometry.size,
                "licence": spec.licence,
                "paper": spec.paper,
                "weights": None if weights is None else str(weights),
                "lens": None if lens is None else str(lens),
                "how_to_get": None if weights else how_to_get(spec),
            }
        )
    return rows

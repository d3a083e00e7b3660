"""Training a lens on the features of pairs: what comes out, and how it came about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...core.progress import Progress
from ..backbones.registry import BackboneSpec
from .lens import Lens
from .options import TrainingOptions
from .projection import Projection, fit_projection
from .training import History, PairFeatures, learn


@dataclass(frozen=True, eq=False)
class Fit(History):
    """A trained lens, and how its training went."""

    lens: Lens


def train_lens(
    pairs: PairFeatures,
    spec: BackboneSpec,
    options: TrainingOptions | None = None,
    *,
    validation: PairFeatures | None = None,
    progress: Progress | None = None,
    name: str = "training",
    project: Callable[..., Projection] = fit_projection,
) -> Fit:
    """Learn a lens from pairs.

    The same pairs, options and machine give the same lens.

    Args:
        validation: pairs whose top-2 is reported after each epoch, and that is all.
        name: of the progress bar.
        project: called as `fit_projection`; a study may pass one that remembers.

    Raises:
        UsageError: fewer than 2 pairs, sides of unequal length, or options that don't fit them.
        TllError: torch, scikit-learn or SciPy isn't installed.
    """
    plain = Lens(spec.name, spec.dimension, spec.layout if spec.name else "")
    lens, history = learn(
        plain,
        pairs,
        spec,
        options or TrainingOptions(),
        validation=validation,
        progress=progress,
        name=name,
        project=project,
    )
    return Fit(lens, **vars(history))

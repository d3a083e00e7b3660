"""What the measured numbers say, in words: each of the paper's findings, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tll_index.engine.evaluation.metrics import bootstrap_interval

from .run import MEASURED, Run
from .stand_ins import STAGES

_COMPARED = (
    ("fig3", "plain", "flipped", "Pictures as they are against flipped ones (Figure 3)"),
    ("fig4-pca", "pca-256", "no-pca", "PCA 256 against none (Figure 4)"),
    ("fig5-direction", "one-direction", "both", "One direction against both (Figure 5)"),
    ("fig5-adaptation", "relu", "linear", "Linear + ReLU against linear (Figure 5)"),
    ("fig5-adaptation", "relu", "diagonal", "Linear + ReLU against diagonal (Figure 5)"),
    ("fig5-adaptation", "relu", "identity", "Linear + ReLU against identity (Figure 5)"),
    ("fig5-colour", "colour", "grey", "Colour against grey (Figure 5)"),
    ("final", "all", "first", "All improvements against none"),
)

_Figures = dict[str, Any]
_Known = dict[tuple[str, str, str], _Figures]


def findings(runs: Sequence[Run]) -> list[str]:
    """One sentence for each comparison of which both sides were measured, with each backbone."""
    known = {
        (run.section, run.row.key, run.backbone): run.figures
        for run in runs
        if run.status == MEASURED
    }
    names = sorted({backbone for _, _, backbone in known}, key=lambda name: (name != STAGES, name))
    return [line for name in names for line in _of_backbone(known, name)]


def difference(one: _Figures, other: _Figures) -> tuple[float, float, float]:
    """In top-2, pair by pair, with its 95% bootstrap interval; both saw the same pairs."""
    each = np.subtract(one["each_pair"], other["each_pair"])
    return float(each.mean()), *bootstrap_interval(each)


def _of_backbone(known: _Known, backbone: str) -> Iterator[str]:
    many, one = (known.get(("table1", f"classifier-1-{foils}", backbone)) for foils in (19, 1))
    if many is not None and one is not None:
        verdict = "raises" if one["recall"] > many["recall"] else "does not raise"
        yield (
            f"{backbone}: Balanced training {verdict} the pair classifier's recall: "
            f"{many['recall']:.3f} with 1 : 19, {one['recall']:.3f} with 1 : 1 (the paper: 0.197 "
            "and 0.547)."
        )
    for ratio, classifier in (("1 : 19", many), ("1 : 1", one)):
        if classifier is not None:
            yield from _against_adaptations(
                known, f"{backbone}: The pair classifier {ratio}", classifier
            )
    for section, key, against, words in _COMPARED:
        first, second = (known.get((section, name, backbone)) for name in (key, against))
        if first is not None and second is not None:
            yield f"{backbone}: {words}: {_compared(first, second)}."
    yield from _temperatures(known, backbone)


def _against_adaptations(known: _Known, subject: str, classifier: _Figures) -> Iterator[str]:
    for (section, row, name), adaptation in known.items():
        if (section, row) == ("table1", "adaptation-on-lists"):
            gap, low, high = difference(adaptation, classifier)
            verdict = "loses to" if low > 0 else "does not clearly lose to"
            yield (
                f"{subject} {verdict} an adaptation on {name} that learned from the same pairs and "
                f"ranked the same lists: top-2 {classifier['top2']:.3f} against "
                f"{adaptation['top2']:.3f}, {gap:.3f} ({low:.3f} to {high:.3f}) less."
            )


def _compared(one: _Figures, other: _Figures) -> str:
    gap, low, high = difference(one, other)
    verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    return (
        f"{verdict}, top-2 {one['top2']:.3f} against {other['top2']:.3f} ({gap:+.3f}, 95% "
        f"{low:+.3f} to {high:+.3f}); validation loss {one['validation_loss']:.3f} against "
        f"{other['validation_loss']:.3f}"
    )


def _temperatures(known: _Known, backbone: str) -> Iterator[str]:
    each = {
        key.removeprefix("t-"): figures
        for (section, key, name), figures in known.items()
        if (section, name) == ("fig4-temperature", backbone)
    }
    if len(each) < 2:
        return
    best = max(each, key=lambda key: each[key]["top2"])
    alike = [
        key
        for key, figures in each.items()
        if key != best and difference(each[best], figures)[1] <= 0
    ]
    said = f"; not clearly worse: {', '.join(alike)}" if alike else ""
    values = ", ".join(f"{key}: {figures['top2']:.3f}" for key, figures in each.items())
    yield (
        f"{backbone}: Of the temperatures, {best} has the highest top-2{said} (Figure 4; the paper "
        f"names 20). {values}."
    )

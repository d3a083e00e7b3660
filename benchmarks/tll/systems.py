"""What the study compares: four systems, and ours with one thing changed at a time.

All of it is fixed here, before any result is seen: no row is chosen by what it scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from tll_index.engine.lens.options import TrainingOptions, options_of


@dataclass(frozen=True)
class System:
    """A row of the study."""

    key: str
    title: str
    kind: Literal["plain", "pca", "trained"]
    """plain: the cosine of the features; pca: of their projection, nothing else learned."""
    options: TrainingOptions
    """pca heeds those of the projection alone, plain none."""
    part: Literal["systems", "ablation"] = "ablation"


OURS = "ours"
PLAIN = "plain"
PAPER = "paper"


def systems(**chosen: Any) -> list[System]:
    """The four that are compared; options `chosen` otherwise hold for all (tests are smaller)."""
    ours, paper = options_of("ours", **chosen), options_of("paper", **chosen)
    return [
        System(PLAIN, "plain cosine of the features", "plain", ours, "systems"),
        System("pca", "PCA only: our scaling and PCA, then cosine", "pca", ours, "systems"),
        System(PAPER, "the paper's recipe on our features", "trained", paper, "systems"),
        System(OURS, "ours", "trained", ours, "systems"),
    ]


def ablations(ours: TrainingOptions, mirror: bool = False) -> list[System]:
    """Ours with one change each. Where it can't stand alone, its title says what goes with it."""
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("no-hubs", "no hubness correction", {"csls": 0.0}),
        ("random-start", "random start, not CCA", {"start": "random"}),
        # From chance, a few small steps lead nowhere: that would say little about the start.
        (
            "random-start-long",
            "random start, learning rate 0.001, 200 epochs",
            {"start": "random", "lr": 1e-3, "epochs": 200},
        ),
        ("no-tuning", "no fine-tuning: CCA alone", {"epochs": 0}),
        ("scaling-layer", "scaling by layer", {"scaling": "layer"}),
        ("scaling-none", "no scaling", {"scaling": "none"}),
        ("no-candidates", "no guessed pairs", {"candidates": False}),
        ("no-unlabelled", "PCA without unlabelled pictures", {"unlabelled": False}),
        ("pca-256", "PCA 256", {"pca": 256}),
        ("pca-512", "PCA 512", {"pca": 512}),
        ("outputs-64", "64 outputs", {"outputs": 64}),
        ("outputs-254", "254 outputs", {"outputs": 254}),
        # Half of all values become 0, so it is given all the outputs that CCA has.
        ("relu", f"ReLU over {ours.pca} outputs", {"relu": True, "outputs": ours.pca}),
        ("both-directions", "left and right both ask", {"direction": "both"}),
    ]
    if mirror:
        changes.append(("mirror", "mirrored views in training", {"augment": "mirror"}))
    rows = [
        System(key, title, "trained", replace(ours, **change)) for key, title, change in changes
    ]
    return [row for row in rows if row.options != ours]

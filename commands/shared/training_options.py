"""The options of training: one for each field of `TrainingOptions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_type_hints

import click

from ...engine.lens.options import RECIPES, TrainingOptions, said_of

_F = TypeVar("_F", bound=Callable[..., Any])

recipe_option = click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    help="Our training options, or those of the ICIP 2021 paper.  [default: ours]",
)

_TRAINING_HELP = {
    "scaling": "Before PCA: each value to the same variance, each pooled layer, or none.",
    "pca": "Dimensions that PCA keeps; 0 leaves it out.",
    "unlabelled": "Let PCA see pictures of no pair as well, where DATA has some.",
    "candidates": "Learn from guessed matches as well, where DATA has lists of candidates.",
    "start": "Begin with canonical directions of the pairs, or by chance.",
    "shrinkage": "cca: part of the covariance to replace by a multiple of the identity, 0 to 1.",
    "power": "cca: directions are scaled by their correlation to half this power.",
    "adaptation": "A matrix, a weight for each of PCA's values, or nothing.",
    "outputs": "Dimensions after a linear adaptation.",
    "relu": "Whether a ReLU follows the adaptation.",
    "temperature": "Cosines are multiplied by it before the softmax.",
    "direction": "Left pictures choose among right ones, or right ones among left ones as well.",
    "augment": "mirror: show each picture mirrored in half of the epochs; flip: in all.",
    "grey": "Look at pictures without their colour, in training and in use.",
    "batch": "Pairs a step, each the others' foils; 0 is all.",
    "epochs": "How often all pairs are learned from.",
    "lr": "Learning rate at the start; it falls along half a cosine to 0.",
    "weight_decay": "Of AdamW.",
    "dropout": "Part of PCA's values to set to 0 in training.",
    "csls": "Weight of the penalty for pictures that resemble everything; 0 is none.",
    "seed": "Of all that is left to chance, the folds too.",
}
"""Of each of `TrainingOptions`, whose type and default are read from there and from `RECIPES`."""

_SWITCHES = {
    "unlabelled": ("unlabelled", "no-unlabelled"),
    "candidates": ("candidates", "no-candidates"),
    "relu": ("relu", "linear"),
    "grey": ("grey", "colour"),
}
"""What options are called that are true or false."""


def training_options(function: _F) -> _F:
    """An option for each of `TrainingOptions`; None is the recipe's value."""
    hints = get_type_hints(TrainingOptions)
    for name in (field.name for field in reversed(fields(TrainingOptions))):
        flags, kind = f"--{said_of(name)}", hints[name]
        if switch := _SWITCHES.get(name):
            flags, kind = "/".join(f"--{side}" for side in switch), bool
        elif choices := get_args(kind):
            kind = click.Choice(choices)
        text = f"{_TRAINING_HELP[name]}  [{_defaults(name)}]"
        function = click.option(flags, name, type=kind, default=None, help=text)(function)
    return function


def _defaults(name: str) -> str:
    """What the recipes say about an option."""

    def said(recipe: str) -> str:
        value = getattr(RECIPES[recipe], name)
        if name in _SWITCHES:
            return _SWITCHES[name][0 if value else 1]
        return f"{value:g}" if isinstance(value, float) else str(value)

    others = [f"{recipe}: {said(recipe)}" for recipe in RECIPES if said(recipe) != said("ours")]
    return "; ".join([f"default: {said('ours')}", *others])

"""The options of training: one for each field of `TrainingOptions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_type_hints

import click

from ...engine.lens.options import RECIPES, TrainingOptions, said_of
from .param_types import Number, WholeNumber

_F = TypeVar("_F", bound=Callable[..., Any])

recipe_option = click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    help="Train with our options, or with those of the ICIP 2021 paper.  [default: ours]",
)

_TRAINING_HELP = {
    "scaling": "Before PCA, scale each value to the same variance, each pooled layer, or nothing.",
    "pca": "How many dimensions PCA keeps; 0 leaves it out.",
    "unlabelled": "Let PCA learn from unpaired pictures as well, where DATA has some.",
    "candidates": "Learn from guessed matches as well, where DATA has lists of candidates.",
    "start": "Start from canonical directions of the pairs, or at random.",
    "shrinkage": "With cca, mix this part of the identity into the covariance, 0 to 1.",
    "power": "With cca, scale directions by their correlation to half this power.",
    "adaptation": "Learn a matrix, a weight for each of PCA's values, or nothing.",
    "outputs": "How many dimensions a linear adaptation has, those of a face included.",
    "face_outputs": "How many of them are a face's; --faces off compares none.",
    "face_shrinkage": "--shrinkage, of faces.",
    "face_power": "--power, of faces.",
    "face_weight": "How much the likeness of two faces counts beside that of the pictures.",
    "face_cost": "What two pictures lose for showing faces, before these are compared.",
    "relu": "Put a ReLU after the adaptation, or none.",
    "temperature": "Multiply cosines by this before the softmax.",
    "direction": "Left pictures choose among right ones, or right ones among left ones as well.",
    "augment": "mirror: show each picture mirrored in half of the epochs; flip: in all.",
    "grey": "See pictures without their colour, in training and in use.",
    "batch": "How many pairs a step takes, each the others' foils; 0 is all.",
    "epochs": "How often to learn from all pairs.",
    "lr": "Learning rate at the start; it falls to 0 along half a cosine.",
    "weight_decay": "Weight decay of AdamW.",
    "dropout": "Set this part of PCA's values to 0 in training.",
    "csls": "How much to penalise pictures that resemble everything; 0 is not at all.",
    "seed": "Seed of all that is random, the folds too.",
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
        else:
            kind = {int: WholeNumber(), float: Number()}[kind]
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

"""The study's drawings: curves over epochs as in the paper's figures, and Table II as bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..drawing import save, tidy
from .curves import smoothed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#b4470f", "#cc79a7", "#56b4e9")
"""Told apart by those who see no red or no green as well."""

_Section = dict[str, Any]
_Run = dict[str, Any]


def draw(result: dict[str, Any], folder: Path) -> dict[str, list[Path]]:
    """Write a drawing of each section that has something to draw; returns the files by section."""
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, list[Path]] = {}
    for section in result["sections"]:
        for backbone, runs in _by_backbone(section).items():
            figure = _figure(section, runs, backbone)
            if figure is not None:
                path = save(figure, folder / f"{section['key']}-{backbone}.png")
                written.setdefault(section["key"], []).append(path)
    return written


def _by_backbone(section: _Section) -> dict[str, list[_Run]]:
    """What was measured; Table II, which compares backbones, as one."""
    measured = [
        {**run, "title": row["title"]}
        for row in section["rows"]
        for run in row["runs"]
        if run["status"] == "measured"
    ]
    if section["key"] == "table2":
        return {"all": measured} if measured else {}
    names = dict.fromkeys(run["backbone"] for run in measured)
    return {name: [run for run in measured if run["backbone"] == name] for name in names}


def _figure(section: _Section, runs: list[_Run], backbone: str) -> Figure | None:
    if section["draws_curves"]:
        return _curves(runs, section["title"], backbone)
    if section["key"] == "table1":
        learned = [run for run in runs if "curves" in run]
        return _classifiers(learned, backbone) if learned else None
    return _bars(runs) if section["key"] == "table2" else None


def _curves(runs: list[_Run], title: str, backbone: str) -> Figure:
    """Validation loss and top-2 by epoch, raw (thin) and smoothed (bold); what learns nothing is a
    dashed line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 2)
    shades = [_shade(number, len(runs)) for number in range(len(runs))]
    for axis, name, label in zip(
        axes, ("validation_loss", "top2"), ("validation loss", "validation top-2"), strict=True
    ):
        for run, colour in zip(runs, shades, strict=True):
            values = run["curves"][name]
            if not values:
                axis.axhline(run[name], color=colour, linestyle="--", label=run["title"])
                continue
            epochs = range(1, len(values) + 1)
            axis.plot(epochs, values, color=colour, linewidth=0.6, alpha=0.5)
            axis.plot(epochs, smoothed(values), color=colour, linewidth=1.8, label=run["title"])
        axis.set_xlabel("epoch")
        axis.set_ylabel(label)
        tidy(axis)
    axes[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.suptitle(f"{title} ({backbone})", fontsize=10)
    return figure


def _classifiers(runs: list[_Run], backbone: str) -> Figure:
    """Training loss and that of the pairs which choose the best epoch, each classifier apart: the
    two balances have losses that can't be compared."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, len(runs), squeeze=False)[0]
    for axis, run in zip(axes, runs, strict=True):
        for name, colour in (("loss", COLOURS[0]), ("development_loss", COLOURS[1])):
            values = run["curves"][name]
            axis.plot(range(1, len(values) + 1), values, color=colour, label=name.replace("_", " "))
        if run["best_epoch"]:
            axis.axvline(run["best_epoch"], color="#8a8a8a", linestyle="--", label="best epoch")
        axis.set_title(run["title"], fontsize=10)
        axis.set_xlabel("epoch")
        axis.locator_params(axis="x", integer=True)
        tidy(axis)
    axes[0].set_ylabel("binary cross-entropy")
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"Table I: pair classifier ({backbone})", fontsize=10)
    return figure


def _bars(runs: list[_Run]) -> Figure:
    """Top-2 of each backbone, with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.9 + 0.45 * len(runs)), layout="constrained")
    axis = figure.subplots()
    places = range(len(runs), 0, -1)
    top2 = [run["top2"] for run in runs]
    reach = [
        [run["top2"] - run["top2_ci95"][0] for run in runs],
        [run["top2_ci95"][1] - run["top2"] for run in runs],
    ]
    axis.barh(places, top2, xerr=reach, color=COLOURS[0], height=0.6, ecolor="#444444")
    axis.set_yticks(list(places), [run["title"] for run in runs], fontsize=8)
    axis.set_xlim(0, 1)
    axis.set_xlabel("validation top-2, with its 95% interval")
    tidy(axis)
    return figure


def _shade(number: int, count: int) -> Any:
    """One of a few told-apart colours, or one of a scale where what is compared is ordered."""
    if count <= len(COLOURS):
        return COLOURS[number]
    from matplotlib import colormaps

    return colormaps["viridis"](number / count)

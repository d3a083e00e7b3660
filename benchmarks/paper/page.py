"""The report as one self-contained HTML page (tables, plots, findings, pairs with pictures), and
its plots: curves over epochs as in the paper's figures, and Table II as bars."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tll_index.engine.images.decode import Limits
from tll_index.engine.lens.experiment import CrossValidation, PairData, evaluate
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.trainer import Fit

from ..harness import COLOURS, GREY, figure, save, tidy
from ..lens.pages import telling_pairs
from ..lens.trials import MatchRanks, match_ranks
from .measure import fitted, smoothed
from .protocol import StudyProtocol
from .report import about, cells
from .run import MEASURED, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COUNT = 8
"""Pairs of each kind."""


def page(found: dict[str, Any], plots: dict[str, list[Path]], pairs: list[dict[str, Any]]) -> str:
    """The page, from a study's result, its plots by section, and what `error_analysis` gave."""
    from jinja2 import Environment, FileSystemLoader

    tables = []
    for section in found["sections"]:
        header, rows = cells(section)
        tables.append(
            {
                **section,
                "header": header,
                "lines": rows,
                "drawings": [_as_url(path) for path in plots.get(section["key"], [])],
            }
        )
    here = Path(__file__).resolve().parent
    jinja = Environment(
        loader=FileSystemLoader([here, here.parent / "lens"]), autoescape=True, trim_blocks=True
    )
    return jinja.get_template("report.html").render(
        title="The paper's study, run again",
        about=about(found),
        findings=found["findings"],
        tables=tables,
        sections=pairs,
        missing=found["missing"],
        machine=found["machine"],
    )


def error_analysis(protocol: StudyProtocol, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The best, worst and most surprising validation pairs of the best adaptation that was
    measured, against the plain cosine of the same features; nothing where none was.

    Raises:
        DataError, WeightsError, UsageError
    """
    measured = [run for run in runs if run.status == MEASURED and run.row.kind == "adaptation"]
    if not measured:
        return []
    best = max(measured, key=lambda run: run.figures["top2"])
    options = protocol.options(best.row.options)
    everyone = protocol.material(best.backbone, options)
    fit, _ = fitted(protocol, everyone, options, protocol.split[0], "the best one once more")
    material = everyone.rows(protocol.split[1])
    plain = Lens.plain(material.backbone.spec)
    ours, theirs = (_standing(material, one) for one in (fit.lens, plain))
    limits = Limits.of(protocol.settings)
    sections = telling_pairs(material, ours, theirs, limits, COUNT)
    for section in sections:
        section["about"] += f" ({best.row.title}, {best.backbone})"
    return sections


def _standing(material: PairData, lens: Lens) -> MatchRanks:
    everyone = [np.arange(len(material.pairs))]
    return match_ranks(material, CrossValidation(evaluate(material, lens), [Fit(lens)], everyone))


def _as_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


_Section = dict[str, Any]
_Run = dict[str, Any]


def draw(result: dict[str, Any], folder: Path) -> dict[str, list[Path]]:
    """Write a plot of each section that has something to plot; returns the files by section."""
    written: dict[str, list[Path]] = {}
    for section in result["sections"]:
        for backbone, runs in _by_backbone(section).items():
            plot = _plot(section, runs, backbone)
            if plot is not None:
                path = save(plot, folder / f"{section['key']}-{backbone}.png")
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


def _plot(section: _Section, runs: list[_Run], backbone: str) -> Figure | None:
    if section["draws_curves"]:
        return _curves(runs, section["title"], backbone)
    if section["key"] == "table1":
        learned = [run for run in runs if "curves" in run]
        return _classifiers(learned, backbone) if learned else None
    return _bars(runs) if section["key"] == "table2" else None


def _curves(runs: list[_Run], title: str, backbone: str) -> Figure:
    """Validation loss and top-2 by epoch, raw (thin) and smoothed (bold); what learns nothing is a
    dashed line."""
    plot = figure(9, 3.8)
    axes = plot.subplots(1, 2)
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
    plot.suptitle(f"{title} ({backbone})", fontsize=10)
    return plot


def _classifiers(runs: list[_Run], backbone: str) -> Figure:
    """Training loss and that of the pairs which choose the best epoch, each classifier apart: the
    two balances have losses that can't be compared."""
    plot = figure(9, 3.8)
    axes = plot.subplots(1, len(runs), squeeze=False)[0]
    for axis, run in zip(axes, runs, strict=True):
        for name, colour in (("loss", COLOURS[0]), ("development_loss", COLOURS[1])):
            values = run["curves"][name]
            axis.plot(range(1, len(values) + 1), values, color=colour, label=name.replace("_", " "))
        if run["best_epoch"]:
            axis.axvline(run["best_epoch"], color=GREY, linestyle="--", label="best epoch")
        axis.set_title(run["title"], fontsize=10)
        axis.set_xlabel("epoch")
        axis.locator_params(axis="x", integer=True)
        tidy(axis)
    axes[0].set_ylabel("binary cross-entropy")
    axes[0].legend(frameon=False, fontsize=8)
    plot.suptitle(f"Table I: pair classifier ({backbone})", fontsize=10)
    return plot


def _bars(runs: list[_Run]) -> Figure:
    """Top-2 of each backbone, with its interval."""
    plot = figure(9, 0.9 + 0.45 * len(runs))
    axis = plot.subplots()
    rows = range(len(runs), 0, -1)
    top2 = [run["top2"] for run in runs]
    reach = [
        [run["top2"] - run["top2_ci95"][0] for run in runs],
        [run["top2_ci95"][1] - run["top2"] for run in runs],
    ]
    axis.barh(rows, top2, xerr=reach, color=COLOURS[0], height=0.6, ecolor="#444444")
    axis.set_yticks(list(rows), [run["title"] for run in runs], fontsize=8)
    axis.set_xlim(0, 1)
    axis.set_xlabel("validation top-2, with its 95% interval")
    tidy(axis)
    return plot


def _shade(number: int, count: int) -> Any:
    """One of a few told-apart colours, or one of a scale where what is compared is ordered."""
    if count <= len(COLOURS):
        return COLOURS[number]
    from matplotlib import colormaps

    return colormaps["viridis"](number / count)

"""The report as one self-contained HTML page: tables, drawings, findings, pairs with pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tll_index.engine.images.decode import Limits
from tll_index.engine.lens.experiment import CrossValidation, PairData, evaluate
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.trainer import Fit

from ..tll.page import telling_pairs
from ..tll.places import MatchRanks, places
from .adaptation import fitted
from .laboratory import Laboratory
from .report import about, cells
from .run import MEASURED, Run

COUNT = 8
"""Pairs of each kind."""


def page(
    found: dict[str, Any], drawings: dict[str, list[Path]], pairs: list[dict[str, Any]]
) -> str:
    """The page, from a study's result, its drawings by section, and what `error_analysis` gave."""
    from jinja2 import Environment, FileSystemLoader

    tables = []
    for section in found["sections"]:
        header, rows = cells(section)
        tables.append(
            {
                **section,
                "header": header,
                "lines": rows,
                "drawings": [_as_url(path) for path in drawings.get(section["key"], [])],
            }
        )
    here = Path(__file__).resolve().parent
    jinja = Environment(
        loader=FileSystemLoader([here, here.parent / "tll"]), autoescape=True, trim_blocks=True
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


def error_analysis(laboratory: Laboratory, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The best, worst and most surprising validation pairs of the best adaptation that was
    measured, against the plain cosine of the same features; nothing where none was.

    Raises:
        DataError, WeightsError, UsageError
    """
    measured = [run for run in runs if run.status == MEASURED and run.row.kind == "adaptation"]
    if not measured:
        return []
    best = max(measured, key=lambda run: run.figures["top2"])
    options = laboratory.options(best.row.options)
    everyone = laboratory.material(best.backbone, options)
    fit, _ = fitted(laboratory, everyone, options, laboratory.split[0], "the best one once more")
    material = everyone.rows(laboratory.split[1])
    plain = Lens.plain(material.backbone.spec)
    ours, theirs = (_standing(material, one) for one in (fit.lens, plain))
    limits = Limits.of(laboratory.settings)
    sections = telling_pairs(material, ours, theirs, limits, COUNT)
    for section in sections:
        section["about"] += f" ({best.row.title}, {best.backbone})"
    return sections


def _standing(material: PairData, lens: Lens) -> MatchRanks:
    everyone = [np.arange(len(material.pairs))]
    return places(material, CrossValidation(evaluate(material, lens), [Fit(lens)], everyone))


def _as_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")

"""What came of a study, as data and as a table: the paper's numbers next to ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..machine import machine
from .curves import WEIGHT
from .findings import findings
from .laboratory import Laboratory
from .rows import SECTIONS
from .run import MEASURED, MISSING, Run

FIGURES = {
    "top2": "top-2",
    "validation_loss": "validation loss",
    "validation_loss_smoothed": "smoothed",
    "accuracy": "accuracy",
    "recall": "recall",
}
"""What tables show, in this order, and what it is called there."""


def result(laboratory: Laboratory, runs: Sequence[Run]) -> dict[str, Any]:
    """All figures, and what they were measured on and with; JSON values only."""
    train, validation = laboratory.split
    return {
        "protocol": {
            "pairs": len(laboratory.pairs),
            "training": len(train),
            "validation": len(validation),
            "data_sha256": laboratory.data_digest,
            "seed": laboratory.seed,
            "epochs": laboratory.epochs,
            "classifier": asdict(laboratory.classifier),
            "classifier_pairs": min(laboratory.classifier.pairs or len(train), len(train)),
            "smoothing": WEIGHT,
            "device": laboratory.settings.device,
        },
        "machine": machine(),
        "sections": [
            {
                "key": section.key,
                "title": section.title,
                "about": section.about,
                "draws_curves": section.draws_curves,
                "rows": rows,
            }
            for section in SECTIONS
            if (rows := _rows(section.key, runs))
        ],
        "findings": findings(runs),
        "missing": {run.backbone: run.reason for run in runs if run.status == MISSING},
    }


def _rows(section: str, runs: Sequence[Run]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.section == section:
            row = rows.setdefault(
                run.row.key,
                {"key": run.row.key, "title": run.row.title, "paper": run.row.paper, "runs": []},
            )
            row["runs"].append(
                {
                    "backbone": run.backbone,
                    "is_the_papers": run.backbone == run.row.papers,
                    "status": run.status,
                    **({"reason": run.reason} if run.reason else {}),
                    **{name: value for name, value in run.figures.items() if name != "each_pair"},
                }
            )
    return list(rows.values())


def cells(section: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A section as a table: its header, and a line for each row and backbone. The paper's number
    is behind ours, in brackets."""
    shown = [
        name
        for name in FIGURES
        if any(name in run for row in section["rows"] for run in row["runs"])
        or any(name in row["paper"] for row in section["rows"])
    ]
    lines = []
    for row in section["rows"]:
        for run in row["runs"]:
            line = [row["title"], run["backbone"]]
            if run["status"] != MEASURED:
                line += [run["status"], *[""] * (len(shown) - 1)]
            else:
                line += [_cell(run, name) for name in shown]
            lines.append([*line, _papers(row)])
    header = ["", "backbone", *(FIGURES[name] for name in shown), "in the paper"]
    return header, lines


def _cell(run: dict[str, Any], name: str) -> str:
    if name not in run:
        return ""
    if name == "top2":
        low, high = run["top2_ci95"]
        return f"{run['top2']:.3f} ({low:.3f} to {high:.3f})"
    return f"{run[name]:.3f}"


def _papers(row: dict[str, Any]) -> str:
    return ", ".join(f"{FIGURES[name]} {value:g}" for name, value in row["paper"].items())


def markdown(found: dict[str, Any]) -> str:
    """The result for people, as Markdown."""
    lines = ["# The paper's study, run again", "", about(found), ""]
    for section in found["sections"]:
        header, rows = cells(section)
        lines += [f"## {section['title']}", "", section["about"], ""]
        lines += [_line(header), _line(["---", "---", *["--:"] * (len(header) - 3), "---"])]
        lines += [*map(_line, rows), ""]
    lines += ["## Findings", ""]
    lines += [f"- {finding}" for finding in found["findings"]] or ["(nothing to compare)"]
    if found["missing"]:
        lines += ["", "## Missing weights", ""]
        lines += [f"- {backbone}: {how}" for backbone, how in found["missing"].items()]
    return "\n".join(lines) + "\n"


def about(found: dict[str, Any]) -> str:
    """How it was measured, in a few sentences."""
    used = found["protocol"]
    missing = found["missing"]
    said = (
        f"{used['pairs']:,} pairs, {used['training']:,} to train and {used['validation']:,} to "
        f"validate, seed {used['seed']}. Top-2: the match among itself and 19 foils, for "
        "adaptations the exact expectation over all draws from the validation pairs, for pair "
        "classifiers (and the adaptation on their lists) one draw; in brackets the 95% bootstrap "
        "interval over pairs. Validation loss: cross-entropy over all validation pairs in one "
        f"batch, with the row's temperature, after the last epoch; smoothed exponentially, weight "
        f"{used['smoothing']}. The paper's own losses are of other pairs, and of how many is not "
        "known here: compare their order, not their size. Accuracy: as if there were as many pairs "
        "as foils; the paper's mix is not known here. Pair classifiers, and the adaptation beside "
        f"them, learn from {used['classifier_pairs']:,} of the training pairs."
    )
    if missing:
        said += (
            f" Not measurable on this machine, for lack of weights: {', '.join(missing)}; how to "
            "get them is at the end."
        )
    return said


def _line(cells_of_row: list[str]) -> str:
    return "| " + " | ".join(cells_of_row) + " |"

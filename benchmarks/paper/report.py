"""What came of a study, as data, as a table (the paper's numbers next to ours), and in sentences:
each of the paper's findings, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tll_index.engine.evaluation.metrics import bootstrap_interval

from .. import harness
from .measure import WEIGHT
from .protocol import StudyProtocol
from .rows import SECTIONS, STAGES
from .run import MEASURED, MISSING, Run

FIGURES = {
    "top2": "top-2",
    "validation_loss": "validation loss",
    "validation_loss_smoothed": "smoothed",
    "accuracy": "accuracy",
    "recall": "recall",
}
"""What tables show, in this order, and what it is called there."""


def result(protocol: StudyProtocol, runs: Sequence[Run]) -> dict[str, Any]:
    """All figures, and what they were measured on and with; JSON values only."""
    train, validation = protocol.split
    return {
        "protocol": {
            "pairs": len(protocol.pairs),
            "training": len(train),
            "validation": len(validation),
            "data_sha256": protocol.data_digest,
            "seed": protocol.seed,
            "epochs": protocol.epochs,
            "classifier": asdict(protocol.classifier),
            "classifier_pairs": min(protocol.classifier.pairs or len(train), len(train)),
            "smoothing": WEIGHT,
            "device": protocol.settings.device,
        },
        "machine": harness.machine(),
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
        lines += [*harness.markdown(header, rows, left=(0, 1, -1)), ""]
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
    for section, key, against, title in _COMPARED:
        first, second = (known.get((section, name, backbone)) for name in (key, against))
        if first is not None and second is not None:
            yield f"{backbone}: {title}: {_compared(first, second)}."
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

"""Run the rows one by one: measured, found among what is kept, or said to lack weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tll_index.core.errors import UsageError, WeightsError
from tll_index.engine.evaluation.kaggle import write_submission
from tll_index.engine.lens.embedder import Embedder
from tll_index.engine.lens.experiment import fit_lens, rate_candidates
from tll_index.engine.lens.options import TrainingOptions

from ..harness import write_json
from .measure import (
    measure_adaptation,
    measure_classifier,
    measure_cosine,
    measure_on_lists,
    possible,
)
from .protocol import StudyProtocol
from .rows import Row, Section, every_row

MEASURED = "measured"
MISSING = "weights missing"
REFUSED = "weights refused"


@dataclass(frozen=True)
class Run:
    """A row with one backbone, and what came of it."""

    section: str
    row: Row
    backbone: str
    status: str
    """MEASURED, or why not."""
    figures: dict[str, Any]
    """What was measured, JSON values only; empty where nothing was."""
    reason: str = ""
    """Where nothing was measured: what to do about it."""

    @property
    def name(self) -> str:
        """Of the row, and of the backbone where that is not the row itself."""
        name = f"{self.section}/{self.row.key}"
        return name if self.row.key == self.backbone else f"{name} with {self.backbone}"


def chosen_rows(wanted: Sequence[str] = ()) -> list[tuple[Section, Row]]:
    """The rows whose section or key is in `wanted`, or written `section/key`; all where it is
    empty.

    Raises:
        UsageError: a name of no row; lists the sections.
    """
    rows = every_row()
    known = dict.fromkeys(wanted, False)
    chosen = []
    for section, row in rows:
        names = {section.key, row.key, f"{section.key}/{row.key}"} & known.keys()
        known.update(dict.fromkeys(names, True))
        if names or not wanted:
            chosen.append((section, row))
    if unknown := [name for name, is_known in known.items() if not is_known]:
        sections = ", ".join(dict.fromkeys(section.key for section, _ in rows))
        raise UsageError(f"no rows are called {unknown[0]!r}; sections are: {sections}")
    return chosen


def run_rows(
    protocol: StudyProtocol, rows: Sequence[tuple[Section, Row]], kept: Kept, out: Path
) -> Iterator[Run]:
    """Each row with the paper's own backbone and with the one that stands in for it. Those whose
    weights are not here are said so, and no figure is ever made of another network.

    Raises:
        DataError, UsageError, TllError
    """
    for section, row in rows:
        for backbone in dict.fromkeys((row.papers, row.stand_in)):
            if backbone is not None:
                run = _run(protocol, section.key, row, backbone, kept, out)
                protocol.progress.note(_line(run))
                yield run


def _run(
    protocol: StudyProtocol, section: str, row: Row, backbone: str, kept: Kept, out: Path
) -> Run:
    if (how := protocol.missing(backbone)) is not None:
        return Run(section, row, backbone, MISSING, {}, how)
    options = protocol.options(row.options)
    try:
        identity = _identity(protocol, row, backbone, options)
        figures = kept.get(identity)
        if figures is None:
            figures = _measured(protocol, row, backbone, options)
            kept.put(identity, figures)
        submission = out / f"submission-{row.key}-{backbone}.csv"
        if row.submits and not _is_written(submission, figures):
            _submit(protocol, backbone, options, submission)
            figures = {**figures, **_as_written(submission)}
            kept.put(identity, figures)
    except WeightsError as error:
        return Run(section, row, backbone, REFUSED, {}, str(error))
    return Run(section, row, backbone, MEASURED, figures)


def _identity(
    protocol: StudyProtocol, row: Row, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    identity = {**protocol.identity(backbone), "kind": row.kind, "options": options.recorded()}
    if row.kind in ("classifier", "lists"):
        identity |= {"classifier": asdict(protocol.classifier), "foils": row.foils}
    return identity


def _measured(
    protocol: StudyProtocol, row: Row, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    match row.kind:
        case "cosine":
            return measure_cosine(protocol, backbone, options)
        case "classifier":
            return measure_classifier(protocol, backbone, row.foils)
        case "lists":
            return measure_on_lists(protocol, backbone, options)
        case _:
            return measure_adaptation(protocol, backbone, options)


def _submit(protocol: StudyProtocol, backbone: str, options: TrainingOptions, path: Path) -> None:
    """Train on all pairs, rate the test split's candidates, write what Kaggle takes."""
    if not (protocol.data / "test_candidates.csv").is_file():
        protocol.progress.note(f"no test_candidates.csv in {protocol.data}: nothing to submit")
        return
    material = protocol.material(backbone, options)
    options = possible(options, len(material.pairs), material.backbone.spec.dimension)
    fit = fit_lens(material, options, progress=protocol.progress)
    if fit.stopped:
        raise KeyboardInterrupt
    candidates, scores = rate_candidates(
        protocol.data,
        Embedder(material.backbone, fit.lens),
        settings=protocol.settings,
        progress=protocol.progress,
    )
    write_submission(path, candidates, scores)


def _is_written(path: Path, figures: dict[str, Any]) -> bool:
    found = _as_written(path)
    return bool(found) and figures.get("submission_sha256") == found["submission_sha256"]


def _as_written(path: Path) -> dict[str, Any]:
    """What is kept of a submission, to know it again; nothing where there is none."""
    try:
        return {"submission_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError:
        return {}


def _line(run: Run) -> str:
    if run.status != MEASURED:
        return f"{run.name}: {run.status}: {run.reason}"
    said = [f"top-2 {run.figures['top2']:.3f}"]
    if "validation_loss" in run.figures:
        said.append(f"validation loss {run.figures['validation_loss']:.3f}")
    if "recall" in run.figures:
        said.append(f"recall {run.figures['recall']:.3f}")
    return f"{run.name}: {', '.join(said)}"


# -- measurements that stay ------------------------------------------------------------------------

FORMAT = 1
"""To be raised when the same run would now measure otherwise and nothing in its identity tells."""


class Kept:
    """What was measured, in a folder: a file for each run, named by all that decides it, so that a
    study goes on. A run that two rows share is done once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The figures of a run; None where there are none, or not whole."""
        try:
            found = json.loads(self._path(identity).read_text("utf-8"))
            figures: dict[str, Any] = found["figures"]
            return figures if found["identity"] == _plain(identity) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, identity: dict[str, Any], figures: dict[str, Any]) -> None:
        """Keep the figures of a run; the file appears whole or not at all."""
        kept = {"identity": _plain(identity), "figures": figures}
        write_json(kept, self._path(identity), indent=1)

    def _path(self, identity: dict[str, Any]) -> Path:
        text = json.dumps(_plain(identity), sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def _plain(identity: dict[str, Any]) -> Any:
    """As JSON gives it back: tuples become lists."""
    return json.loads(json.dumps({"format": FORMAT, **identity}))

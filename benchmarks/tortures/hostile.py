"""Lens, weights and store files from strangers: a clear error, or a result that is one; no code is
run, and no more memory taken than such a file may take."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .forged_lenses import LENSES
from .forged_stores import STORES
from .forged_weights import PICKLES, SAFETENSORS
from .forging import mutated
from .scenes import make_lens_file, make_tree
from .tally import Tally
from .trial import Stage, Trial
from .warm import AskedError, Warm

FORGERIES = {".npz": LENSES, ".safetensors": SAFETENSORS, ".pt": PICKLES, ".json": STORES}
SUFFIXES = tuple(FORGERIES)
_REFUSALS = ("LensError", "WeightsError", "UsageError")
_SAME = (".npz", ".json")
"""Kinds whose files are checked: a changed one is refused or means the same. Of weights, the
digest tells: a store that was made with others refuses them."""

HARMLESS = {
    *("another backbone", "provenance that is a list"),
    *("weights that are a list", "a format that is negative"),
}
"""Forgeries that may load: what is false in them, nobody asks for."""

PATIENCE = 60.0


def run(
    seconds: float, count: int, seed: int, scratch: Path, *, only: int | None = None
) -> dict[str, Any]:
    """Each forged file once, then `count` mutations of good ones, while there are `seconds`."""
    what = "lens, weights and store files that lie, explode or hold code"
    tally = Tally("hostile files", what, seed)
    with Warm(scratch / "warm", shim=False) as warm:
        files = good_files(warm, scratch / "files")
        stage = Stage(warm, scratch, scratch / "stage", seed)
        goods = {suffix: result(warm, path) for suffix, path in files.items()}
        marker = scratch / "marker"
        for suffix in SUFFIXES if only is None else ():
            for name, forge in FORGERIES[suffix]:
                with restored(path := files[suffix]) as data:
                    trial = Trial(f"forged ({suffix})", None, name)
                    forge(path, data, stage.chance(name), marker)
                    outcome = loaded(trial, warm, path, marker, goods[suffix])
                if outcome.startswith("loads") and name not in HARMLESS:
                    trial.problems.append("it loads")
                tally.count("outcome", f"forged {suffix}: {outcome}")
                tally.take(trial)
        for number in tally.numbers(seconds, count, only):
            suffix = SUFFIXES[number % len(SUFFIXES)]
            chance = stage.chance("mutation", number)
            with restored(path := files[suffix]) as data:
                mutated(path, data, chance, marker)
                trial = Trial(f"mutations ({suffix})", number, "changed")
                outcome = loaded(trial, warm, path, marker, goods[suffix])
                if not trial.survived:
                    kept = stage.folder / "failed" / f"{number}{suffix}"
                    kept.parent.mkdir(exist_ok=True)
                    kept.write_bytes(path.read_bytes())
            tally.count("outcome", f"mutated {suffix}: {outcome}")
            tally.take(trial)
    return tally.told()


@contextmanager
def restored(path: Path) -> Iterator[bytes]:
    """The bytes of a file, which it has again in the end."""
    data = path.read_bytes()
    try:
        yield data
    finally:
        path.write_bytes(data)


def good_files(warm: Warm, folder: Path) -> dict[str, Path]:
    """A file of each kind that is well."""
    folder.mkdir(parents=True)
    weights, checkpoint = folder / "good.safetensors", folder / "good.pt"
    shutil.copy(warm.backend / "weights" / "tiny.safetensors", weights)
    warm.ask("loads:good_checkpoint", source=str(weights), out=str(checkpoint))
    lens = make_lens_file(warm, folder)
    tree = make_tree(folder / "tree", warm, 8, more=("--lens", str(lens)))
    return {
        ".npz": lens,
        ".safetensors": weights,
        ".pt": checkpoint,
        ".json": tree / "store" / "store.json",
    }


def result(warm: Warm, path: Path) -> str:
    """What a good file comes to."""
    return str(warm.ask("loads:load", file=str(path))["result"])


def loaded(trial: Trial, warm: Warm, path: Path, marker: Path, good: str) -> str:
    """Load a file and remember what must not be: 'refused', 'loads, the same', 'loads, other
    values' or 'fails'."""
    marker.unlink(missing_ok=True)
    try:
        found = warm.answer(warm.begin("loads:load", file=str(path)), PATIENCE)
    except AskedError as error:
        trial.problems.append(f"{path.name}: {error}")
        outcome = "fails"
    else:
        outcome = _outcome(trial, path.suffix, found, good)
    if marker.exists():
        trial.problems.append("its code was run")
    return outcome


def _outcome(trial: Trial, suffix: str, found: dict[str, Any], good: str) -> str:
    if "error" in found:
        if not found["error"].startswith("Store") and found["error"] not in _REFUSALS:
            trial.problems.append(f"{found['error']}: {found['message']}")
        if "\n" in found["message"] or len(found["message"]) > 1000:
            trial.problems.append(f"it takes more than a line: {found['message'][:300]}")
        return "refused"
    if found["result"] == good:
        return "loads, the same"
    if suffix in _SAME and trial.scene.startswith("mutations"):
        trial.wrong.append("it loads, and gives something else")
    return "loads, other values"

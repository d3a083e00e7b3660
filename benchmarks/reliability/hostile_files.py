"""Lens, weights and store files from strangers: a clear error, or a result that is one; no code is
run, and no more memory taken than such a file may take."""

from __future__ import annotations

import hashlib
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .forgeries import LENSES, PICKLES, SAFETENSORS, STORES, mutated
from .fork_server import ChildError, ForkServer
from .scenarios import make_lens_file, make_tree
from .trials import Stage, Tally, Trial

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
    seconds: float, count: int, seed: int, scratch: Path, *, trial_number: int | None = None
) -> dict[str, Any]:
    """Each forged file once, then `count` mutations of good ones, while there are `seconds`."""
    what = "lens, weights and store files that lie, explode or hold code"
    tally = Tally("hostile files", what, seed)
    with ForkServer(scratch / "server", shim=False) as server:
        files = good_files(server, scratch / "files")
        stage = Stage(server, scratch, scratch / "stage", seed)
        goods = {suffix: result(server, path) for suffix, path in files.items()}
        marker = scratch / "marker"
        for suffix in SUFFIXES if trial_number is None else ():
            for name, forge in FORGERIES[suffix]:
                with restored(path := files[suffix]) as data:
                    trial = Trial(f"forged ({suffix})", None, name)
                    forge(path, data, stage.chance(name), marker)
                    outcome = loaded(trial, server, path, marker, goods[suffix])
                if outcome.startswith("loads") and name not in HARMLESS:
                    trial.problems.append("it loads")
                tally.count("outcome", f"forged {suffix}: {outcome}")
                tally.take(trial)
        for number in tally.numbers(seconds, count, trial_number):
            suffix = SUFFIXES[number % len(SUFFIXES)]
            chance = stage.chance("mutation", number)
            with restored(path := files[suffix]) as data:
                mutated(path, data, chance, marker)
                trial = Trial(f"mutations ({suffix})", number, "changed")
                outcome = loaded(trial, server, path, marker, goods[suffix])
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


def good_files(server: ForkServer, folder: Path) -> dict[str, Path]:
    """A file of each kind that is well."""
    folder.mkdir(parents=True)
    weights, checkpoint = folder / "good.safetensors", folder / "good.pt"
    shutil.copy(server.backend / "weights" / "tiny.safetensors", weights)
    server.call("hostile_files:good_checkpoint", source=str(weights), out=str(checkpoint))
    lens = make_lens_file(server, folder)
    tree = make_tree(folder / "tree", server, 8, more=("--lens", str(lens)))
    return {
        ".npz": lens,
        ".safetensors": weights,
        ".pt": checkpoint,
        ".json": tree / "store" / "store.json",
    }


def result(server: ForkServer, path: Path) -> str:
    """What a good file comes to."""
    return str(server.call("hostile_files:load", file=str(path))["result"])


def loaded(trial: Trial, server: ForkServer, path: Path, marker: Path, good: str) -> str:
    """Load a file and remember what must not be: 'refused', 'loads, the same', 'loads, other
    values' or 'fails'."""
    marker.unlink(missing_ok=True)
    try:
        found = server.result(server.begin("hostile_files:load", file=str(path)), PATIENCE)
    except ChildError as error:
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


_ROOM = 320 << 20
"""Bytes that loading may take, of data, beyond what the process has."""


def load(file: str) -> dict[str, Any]:
    """What a lens, a weights file or a store (named by its store.json) comes to: 'result', a
    digest; or the error of tll-index.

    Raises:
        MemoryError: it takes more than it may; whatever else it raises is a bug as well.
    """
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (taken + _ROOM, taken + _ROOM))
    path = Path(file)
    loads = {".npz": _lens, ".json": _store}.get(path.suffix, _weights)
    return {"result": loads(path)}


def _lens(path: Path) -> str:
    from tll_index import Lens

    lens = Lens.load(path)
    features = np.random.default_rng(0).random((4, 16), np.float32)
    if lens.features != 16:
        return f"a lens of {lens.features} features"
    return f"{lens.digest} {hashlib.sha256(lens.encode_gallery(features).tobytes()).hexdigest()}"


def _store(path: Path) -> str:
    from tll_index import Store

    with Store.open(path.parent) as store:
        store.info()
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        hits = [(hit.path, round(hit.score, 4)) for hit in store.query(pixels, k=1000)]
        return hashlib.sha256(repr(hits).encode()).hexdigest()


def _weights(path: Path) -> str:
    from tll_index import load_backbone

    backbone = load_backbone("tiny", weights=path)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    features = backbone.features(pixels)
    return hashlib.sha256(features.tobytes()).hexdigest()


def good_checkpoint(source: str, out: str) -> None:
    """The tensors of a safetensors file, as torch saves them."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(source), out)

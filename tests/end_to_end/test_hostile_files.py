"""Lens, weights and store files from strangers: refused in a line; no code is run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = 25

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sys.path.insert(0, str(ROOT))
    from types import SimpleNamespace

    from benchmarks.tortures import hostile
    from benchmarks.tortures.forging import mutated
    from benchmarks.tortures.trial import Stage, Trial
    from benchmarks.tortures.warm import Warm

    folder = tmp_path_factory.mktemp("hostile")
    try:
        with Warm(folder / "warm", shim=False) as warm:
            files = hostile.good_files(warm, folder / "files")
            yield SimpleNamespace(
                **vars(hostile),
                warm=warm,
                files=files,
                goods={suffix: hostile.result(warm, path) for suffix, path in files.items()},
                chance=Stage(warm, folder, folder / "stage", 1).chance,
                marker=folder / "marker",
                change=mutated,
                trial=Trial,
            )
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt", ".json"])
def test_forged(hostile: Any, suffix: str) -> None:
    path, failed = hostile.files[suffix], []
    for name, forge in hostile.FORGERIES[suffix]:
        with hostile.restored(path) as data:
            trial = hostile.trial("forged", 0, name)
            forge(path, data, hostile.chance(name), hostile.marker)
            outcome = hostile.loaded(
                trial, hostile.warm, path, hostile.marker, hostile.goods[suffix]
            )
        if not trial.survived or (outcome != "refused" and name not in hostile.HARMLESS):
            failed.append((name, outcome, trial.problems))
    assert not failed


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt", ".json"])
def test_changed_by_chance(hostile: Any, suffix: str) -> None:
    path, failed = hostile.files[suffix], []
    for number in range(MUTATIONS):
        with hostile.restored(path) as data:
            trial = hostile.trial(f"mutations ({suffix})", number, "changed")
            hostile.change(path, data, hostile.chance("mutation", number), hostile.marker)
            hostile.loaded(trial, hostile.warm, path, hostile.marker, hostile.goods[suffix])
        if not trial.survived:
            failed.append(trial.told())
    assert not failed


def test_code_would_leave_its_mark(hostile: Any, tmp_path: Path) -> None:
    """So that the marker's absence means something."""
    import pickle

    from benchmarks.tortures.forging import Evil

    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(Evil(marker)))
    assert marker.exists()
    shutil.copy(hostile.files[".pt"], tmp_path / "good.pt")
    trial = hostile.trial("good", 0, "")
    good = hostile.goods[".pt"]
    outcome = hostile.loaded(trial, hostile.warm, tmp_path / "good.pt", hostile.marker, good)
    assert (outcome, trial.survived) == ("loads, the same", True)

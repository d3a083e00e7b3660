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

    from benchmarks.reliability import hostile_files
    from benchmarks.reliability.forgeries import mutated
    from benchmarks.reliability.fork_server import ForkServer
    from benchmarks.reliability.trials import Stage, Trial

    folder = tmp_path_factory.mktemp("hostile")
    try:
        with ForkServer(folder / "server", shim=False) as server:
            files = hostile_files.good_files(server, folder / "files")
            yield SimpleNamespace(
                **vars(hostile_files),
                server=server,
                files=files,
                goods={
                    suffix: hostile_files.result(server, path) for suffix, path in files.items()
                },
                chance=Stage(server, folder, folder / "stage", 1).chance,
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
                trial, hostile.server, path, hostile.marker, hostile.goods[suffix]
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
            hostile.loaded(trial, hostile.server, path, hostile.marker, hostile.goods[suffix])
        if not trial.survived:
            failed.append(trial.told())
    assert not failed


def test_code_would_leave_its_mark(hostile: Any, tmp_path: Path) -> None:
    """So that the marker's absence means something."""
    import pickle

    from benchmarks.reliability.forgeries import Evil

    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(Evil(marker)))
    assert marker.exists()
    shutil.copy(hostile.files[".pt"], tmp_path / "good.pt")
    trial = hostile.trial("good", 0, "")
    good = hostile.goods[".pt"]
    outcome = hostile.loaded(trial, hostile.server, tmp_path / "good.pt", hostile.marker, good)
    assert (outcome, trial.survived) == ("loads, the same", True)

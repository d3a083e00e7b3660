"""Kills, failing writes, damage, a second writer: the torture of benchmarks/, in small numbers.

Whole, it takes twenty minutes (`make torture`). Here each kind of fault is tried at chosen points.
"""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The torture's modules, a process that forks, and a stage with a store."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.reliability import (
        concurrency,
        damage,
        fault_injection,
        faults,
        fork_server,
        scenarios,
        trials,
    )

    folder = tmp_path_factory.mktemp("torture")
    try:
        with fork_server.ForkServer(folder / "server") as server:
            tree = scenarios.make_tree(folder / "base", server)
            yield SimpleNamespace(
                **vars(scenarios),
                Fault=fault_injection.Fault,
                Trial=trials.Trial,
                damage=damage,
                faults=faults,
                concurrency=concurrency,
                server=server,
                Tally=trials.Tally,
                folder=folder,
                stage=trials.Stage(server, tree, folder / "stage", seed=1),
                scenes={scene.name: scene for scene in scenarios.SCENES},
                lengths={},
            )
    except fault_injection.NoCompilerError as reason:
        pytest.skip(f"failures at chosen calls: {reason}")
    finally:
        sys.path.remove(str(ROOT))


def call(torture: Any, scene: Any, part: float) -> int:
    """The call that comes after this part of all calls of a command that change files."""
    if scene.name not in torture.lengths:
        torture.lengths[scene.name] = torture.stage.calls(scene, 0)[0]
    return max(1, round(part * torture.lengths[scene.name]))


@pytest.mark.parametrize(
    ("name", "part", "how"),
    [
        ("build", 0.6, "kill torn"),
        ("update", 0.5, "kill after"),
        ("index ivf", 0.7, "kill torn"),
        ("forget", 0.6, "kill before"),
        ("repair", 0.5, "kill after"),
        ("backup", 0.8, "kill before"),
    ],
)
def test_killed_at_a_call(torture: Any, name: str, part: float, how: str) -> None:
    scene = torture.scenes[name]
    fault = torture.Fault(call(torture, scene, part), how)
    trial, ended = torture.stage.struck(scene, 0, fault)
    assert ended.struck.times == 1
    assert trial.survived, trial.told()


@pytest.mark.parametrize(
    ("name", "part", "error", "sticky"),
    [
        ("build", 0.1, errno.ENOSPC, True),
        ("build", 0.5, errno.EIO, False),
        ("update", 0.3, errno.EDQUOT, True),
        ("forget", 0.7, errno.ENOSPC, False),
        ("repair", 0.4, errno.EIO, False),
        ("backup", 0.5, errno.ENOSPC, True),
    ],
)
def test_a_call_that_fails(torture: Any, name: str, part: float, error: int, sticky: bool) -> None:
    scene = torture.scenes[name]
    fault = torture.Fault(call(torture, scene, part), "fail", error, sticky)
    trial = torture.faults.failed(torture.stage, scene, fault)
    assert trial.struck
    assert trial.survived, trial.told()


def test_writes_that_are_cut_short(torture: Any) -> None:
    scene = torture.scenes["update"]
    fault = torture.Fault(call(torture, scene, 0.4), "short")
    trial = torture.faults.failed(torture.stage, scene, fault)
    assert trial.struck
    assert trial.survived, trial.told()


@pytest.mark.parametrize(
    ("first", "how"),
    [("pwrite store/catalog.mdb", "short"), ("write store/store.json.new", "kill torn")],
)
def test_a_store_that_could_not_be_made_is_in_nobodys_way(
    torture: Any, first: str, how: str
) -> None:
    scene = torture.scenes["build"]
    for at in range(1, 40):
        fault = torture.Fault(at, "kill before")
        tree, command, _ = torture.stage.prepare(scene, 0)
        if torture.server.run(*command, folder=tree, fault=fault).struck.what == first:
            break
    trial, ended = torture.stage.struck(scene, 0, torture.Fault(at, how), watched=False)
    assert ended.struck.what == first
    assert trial.survived, trial.told()


def test_damage(torture: Any) -> None:
    damage = torture.damage
    here = damage.ground(torture.server, torture.folder / "ground", "flat")
    tally = torture.Tally("damage", "", 1)
    both = {"verify": True, "repair": True}
    for number in range(4):
        trial = damage.harmed(tally, torture.stage, here, number, both)
        assert trial.survived, trial.told()


def test_a_second_writer(torture: Any) -> None:
    trial = torture.Trial("a second writer", 0, "")
    everything = {"forget", "repair"}
    chance = torture.stage.chance("crowds")
    torture.concurrency.second_writer(trial, torture.stage, everything, chance)
    assert trial.survived, trial.told()


def test_the_torture_notices_what_is_lost_and_what_is_wrong(torture: Any, tmp_path: Path) -> None:
    scene = torture.scenes["remove"]
    tree, command, before = torture.stage.prepare(scene, 0)
    kept = tmp_path / "kept"
    shutil.copytree(tree / "photos", kept)
    trial = torture.Trial("remove", 0, "")
    torture.stage.complete(trial, tree, tree / "store")  # not built yet: more than on the disk
    assert trial.problems
    assert torture.server.run(*command, folder=tree).code == 0
    trial = torture.Trial("remove", 0, "")
    torture.stage.check(trial, tree, before)
    assert trial.survived, trial.told()
    shutil.copytree(torture.stage.tree / "photos", tree / "photos", dirs_exist_ok=True)
    torture.stage.check(trial, tree, before)  # they are on the disk, so they should be in the store
    assert len(trial.lost) == len(before) - len(list(kept.rglob("*.png")))


def test_the_table_says_how_to_do_it_again(torture: Any) -> None:
    from benchmarks.reliability.__main__ import document, table

    tally = torture.Tally("damage", "files go bad", 77)
    tally.take(torture.Trial("lens.npz", 5, "lens.npz: lost", wrong=["cats"], lost=["ab"]))
    tally.take(torture.Trial("lens.npz", 6, "lens.npz: lost"))
    found = document([tally.told()], 60)
    expected = {"tried": 2, "survived": 1, "images_lost": 1, "wrong_answers": 1, "crashes": 0}
    assert found["total"] == expected
    assert "FAILED --rows damage --seed 77 --trial 5: lens.npz" in table(found)

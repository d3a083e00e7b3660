"""The store against a simple model, after whatever may happen to it; `make torture` does it for
thousands of steps."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = st.integers(0, 2**16 - 1)


def machine(world: Callable[[Path], Any], operations: list[str]) -> type[RuleBasedStateMachine]:
    """A state machine with a rule for each operation of a world."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())
            self.world = world(self.folder)

        def teardown(self) -> None:
            self.world.build(0, 0, 0)  # whatever happened, a build settles it
            self.world.close()
            shutil.rmtree(self.folder)

    def happens(name: str) -> Callable[[Any, int, int, int], None]:
        def step(self: Any, a: int, b: int, c: int) -> None:
            getattr(self.world, name)(a, b, c)

        step.__name__ = name
        return step

    for name in operations:
        setattr(Machine, name, rule(a=NUMBERS, b=NUMBERS, c=NUMBERS)(happens(name)))
    return Machine


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT)

    return importlib.import_module("benchmarks.tortures.model")


@pytest.mark.slow
def test_the_store_is_what_the_model_says(model: Any) -> None:
    run_state_machine_as_test(
        machine(model.World, list(model.WEIGHTS)),
        settings=settings(
            max_examples=2,
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_week_in_short(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make torture` runs for 10,000 steps."""
    for name in ("TLL_HOME", "TLL_RUNTIME"):  # which it sets
        monkeypatch.setenv(name, "")
    told = model.run(60, 15, 3, tmp_path)
    assert told["steps"] == 15 and told["wrong"] == []
    assert sum(told["operations"].values()) >= 15 and told["checks"]["answers compared"] > 5


def test_a_model_that_differs_is_noticed(model: Any, tmp_path: Path) -> None:
    """The checks can fail: a path more, a path less, other content."""
    world = model.World(tmp_path)
    whole = dict(world.known)
    one, other, *_ = sorted(whole)
    for wrong in (
        {**whole, tmp_path / "photos/never.png": whole[one]},
        {path: known for path, known in whole.items() if path != one},
        {**whole, one: whole[other]},
    ):
        world.known = wrong
        with pytest.raises(model.WrongError):
            world.reopen(0, 0, 0)
    world.known = whole
    world.reopen(0, 0, 0)
    world._vectors = {sha256: -vector for sha256, vector in world._vectors.items()}
    with pytest.raises(model.WrongError, match="brute force"):
        world.reopen(0, 0, 0)
    world.close()

"""For the tests of the engine."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def calm(one_thread: None) -> None:
    """Matrices are small here."""


@pytest.fixture(autouse=True)
def networks_by_torch(by_torch: None) -> None:
    """What is exported is the subject of tests that say so."""

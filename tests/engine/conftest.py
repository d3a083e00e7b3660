"""For the tests of the engine."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def calm(one_thread: None) -> None:
    """Matrices are small here."""

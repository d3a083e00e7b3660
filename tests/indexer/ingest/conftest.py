"""A log of what is embedded."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny


@pytest.fixture
def log(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A line for every pass of the network from now on; see `builds.embedded`."""
    tiny.watch(monkeypatch, here / "embedded.log")
    return here / "embedded.log"

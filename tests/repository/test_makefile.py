"""What the Makefile installs: for `make run` the core alone, for developers all, and torch for CPUs
where there is such a build and no GPU. A stand-in for Python writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


class Asked:
    """A .venv whose Python writes down its arguments, a line each time."""

    def __init__(self, folder: Path, versions: str) -> None:
        self.folder = folder
        self._log = folder / "log"
        (folder / "bin").mkdir(parents=True)
        python = folder / "bin/python"
        python.write_text(
            f'#!/bin/sh\necho "$*" >> "{self._log}"\n'
            f'case "$*" in *"index versions torchvision") echo "{versions}";; esac\n'
        )
        python.chmod(0o755)

    def make(self, target: str, gpu: str = "") -> list[str]:
        """Run a target; what was installed for it, in order."""
        self._log.write_text("")
        environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
        command = ["make", target, f"VENV={self.folder}", f"GPU={gpu}", f"RUN={self.folder}/run"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = self._log.read_text().splitlines()
        start = "-m pip install --quiet --disable-pip-version-check "
        return [line.removeprefix(start) for line in lines if line.startswith(start)]


@pytest.mark.parametrize(
    ("versions", "gpu", "first"),
    [
        ("Available versions: 0.29.1, 0.28.0+cpu, 0.27.0+cpu", "", ["torchvision == 0.28.0+cpu"]),
        ("Available versions: 0.29.1, 0.28.0+cpu", "/dev/nvidia0", []),
        ("Available versions: 0.29.1, 0.28.0", "", []),
        ("", "", []),
    ],
)
def test_what_is_installed(tmp_path: Path, versions: str, gpu: str, first: list[str]) -> None:
    asked = Asked(tmp_path / "a venv", versions)
    assert asked.make("run", gpu) == ["--editable ."]
    assert asked.make("run", gpu) == []
    last = ["--editable .[dev]", "--no-deps facenet-pytorch == 2.6.0"]
    assert asked.make("setup", gpu) == ["pip >= 24", *first, *last]
    assert asked.make("setup", gpu) == asked.make("run", gpu) == []

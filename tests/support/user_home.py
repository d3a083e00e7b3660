"""The home and temporary folder of all tests, and the check that the real home stays as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOMS = ("", ".cache", ".config", ".local", ".local/share", ".local/state")
"""The folders of a home in which programs make one of their own."""
OURS = frozenset(
    (
        ".cache/Microsoft",
        ".cache/chromium",
        ".cache/clip",
        ".cache/dconf",
        ".cache/fontconfig",
        ".cache/huggingface",
        ".cache/matplotlib",
        ".cache/mesa_shader_cache",
        ".cache/onnxruntime",
        ".cache/openvino",
        ".cache/tll-index",
        ".cache/torch",
        ".config/chromium",
        ".config/dconf",
        ".config/matplotlib",
        ".config/openvino",
        ".config/ray",
        ".config/tll-index",
        ".ipython",
        ".jupyter",
        ".keras",
        ".local/share/jupyter",
        ".local/share/tll-index",
        ".local/state/tll-index",
        ".matplotlib",
        ".milvus",
        ".nv",
        ".pki",
        ".ray",
        ".streamlit",
        ".tll-index",
        ".triton",
    )
)
"""What the product, its libraries and the browser make. In a home that somebody uses, only these
count, since other programs write there as well; in an empty one, as a machine for continuous
integration has it, anything counts."""


class UserHome:
    """A plugin of pytest's: a home folder and a temporary folder of the tests' own, for all their
    processes, from before the first test is collected to after the last. New entries in the real
    home fail the run. pytest's own folders stay where they are, to be looked at after a failure."""

    def __init__(self) -> None:
        self._real = Path(os.environ.get("HOME") or Path.home())
        self._before = entries(self._real)
        self._folder = Path(tempfile.mkdtemp(prefix="tll-"))  # short: sockets lie below it
        self._left: list[str] = []
        self._environment = dict(os.environ)
        for name in list(os.environ):
            if name.startswith(("XDG_", "AWS_")):
                del os.environ[name]
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        os.environ["TMPDIR"] = str(self._folder)
        tempfile.tempdir = None  # which remembers the one before
        os.environ["HOME"] = str(self._folder / "home")
        os.mkdir(os.environ["HOME"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        new = entries(self._real) - self._before
        self._left = sorted(new if not self._before else new & OURS)
        if self._left and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for name in self._left:
            terminalreporter.write_line(f"left in the home folder by a test: {name}", red=True)

    def pytest_unconfigure(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        tempfile.tempdir = None
        shutil.rmtree(self._folder, ignore_errors=True)


def entries(home: Path) -> set[str]:
    """What is in a home folder, by its path from there."""
    found = set()
    for room in ROOMS:
        if (home / room).is_dir():
            found |= {
                str((home / room / name).relative_to(home)) for name in os.listdir(home / room)
            }
    return found

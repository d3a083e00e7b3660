"""A wheel holds the package and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from clones import copy_clone, files_of_a_clone
from floors import PACKAGES

pytestmark = pytest.mark.slow

TOP = ("__init__.py", "__main__.py", "cli.py", "py.typed")


def files_of_the_package() -> set[str]:
    """Every file of the rooms: modules, templates, static files, the lens; and those of the top."""
    inside = {path.as_posix() for path in files_of_a_clone() if path.parts[0] in PACKAGES}
    return {f"tll_index/{name}" for name in {*inside, *TOP}}


def test_a_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    copy_clone(copy := tmp_path / "copy")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--quiet", "--wheel-dir", str(tmp_path), "."]
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
    packaged = {name for name in names if ".dist-info/" not in name}
    expected = files_of_the_package()
    shipped = {Path(name).suffix for name in expected}
    assert {".py", ".npz", ".html", ".js", ".css", ".typed"} <= shipped
    assert packaged == expected and len(names) == len(set(names))

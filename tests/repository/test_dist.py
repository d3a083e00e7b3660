"""What `make dist` makes: an sdist and a wheel that hold the package and nothing else, and work."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from clones import copy_clone, files_of_a_clone
from floors import PACKAGES
from pictures import fill_folder
from tll_index import __version__

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOP = ("__init__.py", "__main__.py", "cli.py", "py.typed")
BESIDE = ("CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg")
"""What an sdist holds beside the package."""


def files_of_the_package() -> set[str]:
    """Every file of the rooms: modules, templates, static files, the lens; and those of the top."""
    inside = {path.as_posix() for path in files_of_a_clone() if path.parts[0] in PACKAGES}
    return {*inside, *TOP}


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both: `DIST`, or made from a copy of the tree."""
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("build", reason="the extra 'dev' is not installed")
    if given := os.environ.get("DIST"):
        return Path(given)
    copy_clone(copy := tmp_path_factory.mktemp("dist") / "copy")
    run(sys.executable, "-m", "build", "--no-isolation", cwd=copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (sdist,) = dist.glob("*.tar.gz")
    return sdist


def files_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as opened:
        return [name for name in opened.namelist() if not name.endswith("/")]


def test_a_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = files_of(wheel)
    packaged = {name for name in names if ".dist-info/" not in name}
    expected = {f"tll_index/{name}" for name in files_of_the_package()}
    shipped = {Path(name).suffix for name in expected}
    assert {".py", ".npz", ".html", ".js", ".css", ".typed"} <= shipped
    assert packaged == expected and len(names) == len(set(names))


def test_an_sdist_makes_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as opened:
        files = {
            one.name.partition("/")[2]
            for one in opened
            if one.isfile() and ".egg-info/" not in one.name
        }
    assert files == {*files_of_the_package(), *BESIDE, "PKG-INFO"}
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", tmp_path, sdist, cwd=tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert again.name == wheel.name and sorted(files_of(again)) == sorted(files_of(wheel))


def test_the_version_is_said_in_one_place(sdist: Path, wheel: Path) -> None:
    assert sdist.name == f"tll_index-{__version__}.tar.gz"
    assert wheel.name == f"tll_index-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        told = opened.read(f"tll_index-{__version__}.dist-info/METADATA").decode()
    metadata = email.message_from_string(told)
    assert metadata["Version"] == __version__


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fresh environment into which the wheel is installed. What it depends on is
    seen from where the tests run: it takes gigabytes, and a network."""
    venv.create(folder := tmp_path_factory.mktemp("fresh"), symlinks=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "of-the-tests.pth").write_text("\n".join(seen))
    pip = (folder / "bin/python", "-m", "pip", "install", "--no-deps", "--no-index", "--quiet")
    run(*pip, "--ignore-installed", wheel, cwd=folder)
    return folder


def test_the_wheel_works_in_a_fresh_environment(installed: Path, here: Path) -> None:
    tool, python = installed / "bin/tll-index", installed / "bin/python"
    where = run(python, "-c", "import tll_index; print(tll_index.__file__)", cwd=here)
    assert Path(where.strip()).is_relative_to(installed / "lib")
    assert run(tool, "--version", cwd=here) == f"tll-index, version {__version__}\n"
    fill_folder(here / "photos", 4)
    assert run(tool, "build", "photos", cwd=here).startswith("4 added")
    assert '"dimension": 128' in run(tool, "info", "--json", cwd=here)  # of the shipped lens
    run(tool, "query", "photos/picture0001.png", "--html", "page.html", cwd=here)
    assert (here / "page.html").read_text().count("data:image/jpeg") == 4
    code = "from importlib.resources import files; print(files('tll_index.web') / 'static')"
    assert Path(run(python, "-c", code, cwd=here).strip()).is_dir()

"""The commands of a fresh copy of the repository work, whatever the folder it lies in is called.

The folder is the package, so its name could matter to ruff, mypy, pip and make. The copies have
no `.git`, as a downloaded archive has none, a .venv that only sees the packages of this one, and a
home that nobody can write to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from clones import copy_clone
from pictures import fill_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Clone:
    """A copy of the repository with a .venv."""

    def __init__(self, folder: Path, kept: Path) -> None:
        """`kept` is a folder for what all copies can share."""
        self.folder = folder
        copy_clone(folder)
        venv.create(folder / ".venv", symlinks=True)
        self.python = folder / ".venv/bin/python"
        (packages,) = (folder / ".venv/lib").glob("python*/site-packages")
        seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (packages / "of-the-tests.pth").write_text("\n".join(seen))
        (folder / ".venv/mypy_cache").symlink_to(kept / "mypy_cache")

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """What a command prints that must succeed."""
        environment = {**os.environ, "HOME": "/dev/null/home"}
        environment |= {"PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            pytest.fail(f"{command} in {self.folder}:\n{done.stdout}", pytrace=False)
        return done.stdout

    def make(self, target: str) -> str:
        """Run a target of the Makefile as if the .venv had been set up by it."""
        return self.run("make", target, "READY=setup.cfg")

    def install(self, *options: str) -> None:
        pip = (self.python, "-m", "pip", "install", "--no-deps", "--no-build-isolation")
        self.run(*pip, *options, ".")

    def uninstall(self) -> None:
        self.run(self.python, "-m", "pip", "uninstall", "--yes", "tll-index")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all copies share: the cache of mypy, as the last `make lint` left it."""
    kept, lints = tmp_path_factory.mktemp("kept"), Path(sys.prefix) / "mypy_cache"
    if lints.is_dir():
        shutil.copytree(lints, kept / "mypy_cache")
    (kept / "mypy_cache").mkdir(exist_ok=True)
    return kept


@pytest.fixture(params=["tll-index", "tll-index-main", "it's [a] clone, é"])
def clone(request: pytest.FixtureRequest, tmp_path: Path, kept: Path) -> Clone:
    (folder := tmp_path / request.param).mkdir()
    return Clone(folder, kept)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_a_clone_of_any_name(clone: Clone, tmp_path: Path) -> None:
    for module in ("ruff", "mypy", "setuptools", "mkdocs"):
        pytest.importorskip(module, reason="the extra 'dev' is not installed")
    fill_folder(elsewhere := tmp_path / "elsewhere", 3)
    clone.make("lint")
    assert wrong_names(clone) == []

    clone.install("--editable")
    clone.make("docs")
    assert (clone.folder / "site/index.html").is_file()
    assert package_of(clone, elsewhere) == clone.folder
    assert works(clone, elsewhere)
    # pytest finds its way, too
    clone.run(clone.python, "-m", "pytest", "tests/core/test_wording.py")
    clone.uninstall()

    clone.install()
    assert package_of(clone, elsewhere).is_relative_to(clone.folder / ".venv/lib")
    assert works(clone, elsewhere)


def test_names_of_modules_are_checked(tmp_path: Path, kept: Path) -> None:
    """Though that of the folder is not."""
    pytest.importorskip("ruff", reason="the extra 'dev' is not installed")
    (folder := tmp_path / "tll-index").mkdir()
    clone = Clone(folder, kept)
    for name in ("bad-name.py", "engine/bad-name.py"):
        (folder / name).write_text("")
    assert wrong_names(clone) == ["bad-name.py", "engine/bad-name.py"]


def wrong_names(clone: Clone) -> list[str]:
    """The files whose names ruff finds wrong (N999), when it is run as in `make lint`."""
    ruff = (clone.python, "-m", "ruff", "check", "--exit-zero", "--output-format", "concise", ".")
    lines = clone.run(*ruff).splitlines()
    return sorted(line.split(":")[0] for line in lines if " N999 " in line)


def package_of(clone: Clone, elsewhere: Path) -> Path:
    code = "import tll_index; print(tll_index.__file__)"
    return Path(clone.run(clone.python, "-c", code, cwd=elsewhere).strip()).resolve().parent


def works(clone: Clone, elsewhere: Path) -> bool:
    """Whether the program builds a store and finds in it, started in both ways."""
    module = (clone.python, "-m", "tll_index")
    script = (clone.folder / ".venv/bin/tll-index",)
    for program in (module, script):
        assert clone.run(*program, "--help", cwd=elsewhere).startswith("Usage: ")
    store = f"{len(list(elsewhere.iterdir()))}.tll"
    clone.run(*module, "build", ".", "--store", store, cwd=elsewhere)
    found = clone.run(*script, "query", "picture0001.png", "--store", store, cwd=elsewhere)
    return "picture0000.png" in found

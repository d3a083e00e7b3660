"""The public names: exported, described, typed, and loaded late."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tll_index
from tll_index.core import errors

ROOT = Path(__file__).resolve().parents[2]
API = (ROOT / "docs/api.md").read_text()
PUBLIC = [name for name in tll_index.__all__ if not name.startswith("_")]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*")) if path.suffix == ".py"]


@pytest.mark.parametrize("name", PUBLIC)
def test_each_can_be_imported_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(tll_index, name))


def test_each_is_described_in_the_api_page_and_nothing_else() -> None:
    described = re.findall(r"^::: tll_index\.(\w+)$", API, re.MULTILINE)
    assert sorted(described) == sorted(PUBLIC)


def test_every_error_is_public() -> None:
    named = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert named and named <= set(PUBLIC)
    assert all(issubclass(getattr(tll_index, name), tll_index.TllError) for name in named)


@pytest.mark.parametrize("path", [*DOCUMENTS, *EXAMPLES], ids=lambda path: path.name)
def test_documents_import_what_is_there(path: Path) -> None:
    text = path.read_text()
    for line in re.findall(r"^ *from tll_index import (?:\(([^)]+)\)|(.+))$", text, re.MULTILINE):
        names = re.findall(r"\w+", "".join(line).split("#")[0])
        assert names and set(names) <= set(PUBLIC), path.name


def test_what_type_checkers_see_is_what_python_loads() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: (f".{node.module}", alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = tll_index._MODULES
    assert seen == {name: (module, name) for name, module in modules.items()}


def test_importing_loads_nothing_heavy_and_dir_names_all() -> None:
    code = (
        "import sys, tll_index\n"
        "assert set(tll_index.__all__) <= set(dir(tll_index))\n"
        "heavy = {'torch', 'numpy', 'faiss', 'PIL', 'lmdb', 'onnxruntime', 'click'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_the_page_exports_what_it_says() -> None:
    """Also after the server is imported, which imports the application's module."""
    pytest.importorskip("fastapi")
    from tll_index.web import Options, Server, app, serve

    assert all(callable(one) for one in (Options, Server, app, serve))


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tll_index.Nothing  # type: ignore[attr-defined]


def test_star_import_brings_what_is_public() -> None:
    names: dict[str, object] = {}
    exec("from tll_index import *", names)
    assert set(PUBLIC) <= set(names)


@pytest.mark.slow
def test_users_code_is_type_checked(tmp_path: Path) -> None:
    """By mypy, strictly, against the types of the package."""
    pytest.importorskip("mypy")
    (tmp_path / "use.py").write_text(
        "from tll_index import Hits, Settings, Store, TllError, build, load_backbone\n"
        "def first(folder: str) -> Hits:\n"
        "    report = build([folder], store='x.tll', settings=Settings())\n"
        "    reveal_type(report)\n"
        "    with Store.open('x.tll') as store:\n"
        "        return store.query('a.jpg', k=3)\n"
        "try:\n"
        "    first('photos').no_such_thing\n"
        "except TllError as error:\n"
        "    print(error)\n"
        "reveal_type(load_backbone)\n"
    )
    (tmp_path / "tll_index").symlink_to(ROOT)
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports", "silent", "use.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("use.py")]
    assert 'Revealed type is "tll_index.indexer.ingest.report.BuildReport"' in lines[0]
    assert 'has no attribute "no_such_thing"' in lines[1]
    assert "Any" not in lines[2].split("->")[-1] and "Backbone" in lines[2]
    assert len(lines) == 3

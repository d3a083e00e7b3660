"""The floors of the house: data flows one way, and heavy things are loaded late."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("commands", "engine", "indexer", "rendering", "web")
MODULES = sorted(
    path
    for path in (
        *ROOT.glob("*.py"),
        *(file for name in FLOORS for file in (ROOT / name).rglob("*.py")),
    )
)
SKINS = tuple(f"tll_index.{skin}" for skin in ("rendering", "web", "commands", "cli"))
HEAVY = {"torch", "timm", "open_clip", "torchvision", "sklearn", "huggingface_hub", "safetensors"}
EXTRAS = {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"}
EXTRAS |= {"pymilvus", "milvus_lite", "grpc", "pandas", "ray", "fsspec"}


def imports(path: Path, top_only: bool) -> set[str]:
    """Absolute names of what a module imports; relative ones resolved below `tll_index`."""
    package = ["tll_index", *path.relative_to(ROOT).parts[:-1]]
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.add(".".join([*base, node.module or ""]).rstrip("."))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_goes_back_up(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0]
    if floor == "__main__.py":
        return  # the door, which opens on the command line
    used = imports(path, top_only=False)
    forbidden = {
        "engine": ("tll_index.indexer", *SKINS),
        "indexer": SKINS,
        "rendering": SKINS[1:],
        "web": SKINS[2:],
    }.get(floor, ("tll_index.cli",))
    assert not [name for name in used if name.startswith(forbidden)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_imports_are_late(path: Path) -> None:
    if path.parent.name == "backbones" and path.name != "__init__.py":
        return  # loaded only with a network
    late = HEAVY if path.parent.name == "web" else HEAVY | EXTRAS
    assert not late & {name.split(".")[0] for name in imports(path, top_only=True)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_says_what_it_is_for(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
    assert first.endswith((".", "?", ":")) and len(first) > 15


def test_files_fit_in_a_mind() -> None:
    long = {path.name: n for path in MODULES if (n := len(path.read_text().splitlines())) > 420}
    assert not long

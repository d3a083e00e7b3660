"""The floors of the house: data flows one way, and heavy things are loaded late."""

from __future__ import annotations

import ast

import pytest

import floors
from floors import ORDER, ROOT, Module

MODULES = list(floors.modules().values())
HEAVY = {"torch", "timm", "open_clip", "torchvision", "sklearn", "huggingface_hub", "safetensors"}
EXTRAS = {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"}
EXTRAS |= {"pymilvus", "milvus_lite", "grpc", "pandas", "ray", "fsspec"}


def test_every_room_has_its_floor() -> None:
    assert {module.room for module in MODULES if module.path.stem != "__init__"} == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_nothing_goes_back_up(room: str) -> None:
    """Neither when it is loaded, nor later, nor for its types."""
    below = ORDER[: ORDER.index(room) + 1]
    back = {
        f"{module.name} imports {name}"
        for module in MODULES
        if module.room == room
        for name in floors.imports(module)
        if floors.modules()[name].room not in below
        and floors.modules()[name].path.stem != "__init__"
    }
    assert not back


def test_no_circle() -> None:
    assert floors.circles() == []


def test_the_table_names_every_room() -> None:
    rooms = [line.split()[1] for line in floors.table().splitlines()[1:]]
    assert rooms == list(ORDER)


def imported(module: Module) -> set[str]:
    """The top packages that are imported as soon as the module is."""
    found: set[str] = set()
    for node in ast.parse(module.path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_heavy_imports_are_late(module: Module) -> None:
    if module.name in LOADED_WITH_A_NETWORK or module.room == "engine.backbones.providers":
        return
    late = HEAVY if module.room.startswith("web") else HEAVY | EXTRAS
    assert not late & imported(module)


LOADED_WITH_A_NETWORK = {
    f"engine.backbones.{name}" for name in ("checkpoint", "outputs", "planes", "pooling", "views")
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_each_module_says_what_it_is_for(module: Module) -> None:
    first = (ast.get_docstring(ast.parse(module.path.read_text())) or "").split("\n")[0]
    assert first.endswith((".", "?", ":")) and len(first) > 15


def test_the_top_is_small() -> None:
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "cli.py"}

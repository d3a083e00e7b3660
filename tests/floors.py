"""The rooms of the house, what each imports, and the order in which they stand.

`python -m tests.floors` prints them as a table. A room is a folder of modules; the top of
the repository is one, too. Imports are read from the source, those inside functions and below
TYPE_CHECKING among them.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "engine", "indexer", "rendering", "web", "commands")

ORDER = (
    "core",
    "engine.remote",
    "engine.faces",
    "engine.images.formats",
    "engine.images",
    "engine.near_duplicates",
    "engine.search",
    "engine.backbones",
    "engine.backbones.providers",
    "engine.backbones.bundled",
    "engine.backbones.bundled.faces",
    "engine.evaluation",
    "engine.lens",
    "engine.explain",
    "indexer.scan",
    "indexer.catalog",
    "indexer.vector_index",
    "indexer.backends",
    "indexer.backends.folder",
    "indexer.backends.milvus",
    "indexer.store",
    "indexer.maintenance",
    "indexer.decoding",
    "indexer.ray",
    "indexer.ingest",
    "indexer.transfer",
    "indexer.analysis",
    "indexer.analysis.duplicates",
    "rendering",
    "web.http",
    "web.pictures",
    "web.api",
    "web",
    "commands.shared",
    "commands",
    ".",
)
"""From the ground up: a room imports itself and rooms before it."""


class Module(NamedTuple):
    """A module of the package."""

    name: str
    """Below the package, such as `engine.lens.lens`; a package has the name of its folder."""
    path: Path
    room: str
    lines: int


@cache
def modules() -> dict[str, Module]:
    """All of them, by name."""
    found = {}
    for path in (
        *sorted(ROOT.glob("*.py")),
        *(file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))),
    ):
        folders = path.relative_to(ROOT).parts[:-1]
        parts = folders if path.stem == "__init__" else (*folders, path.stem)
        name, room = ".".join(parts) or ".", ".".join(folders) or "."
        found[name] = Module(name, path, room, len(path.read_text().splitlines()))
    return found


@cache
def imports(module: Module) -> frozenset[str]:
    """The modules of the package that it imports, wherever in the file."""
    folders = module.path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(module.path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*folders[: len(folders) - node.level + 1], *(node.module or "").split(".")]
        name = ".".join(part for part in base if part)
        for alias in node.names:
            full = f"{name}.{alias.name}".lstrip(".")
            found.add(full if full in modules() else name or ".")
    return frozenset(found & modules().keys() - {module.name})


def arrows() -> dict[str, dict[str, int]]:
    """Room -> the other rooms that it imports from -> how many of its modules do."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for module in modules().values():
        for room in {modules()[name].room for name in imports(module)} - {module.room}:
            found[module.room][room] += 1
    return found


def circles() -> list[list[str]]:
    """Modules that import each other, directly or by way of others."""
    below: dict[str, frozenset[str]] = {}

    def reach(name: str) -> frozenset[str]:
        found: set[str] = set()
        ahead = [name]
        while ahead:
            for one in imports(modules()[ahead.pop()]):
                if one not in found:
                    found.add(one)
                    ahead.append(one)
        return frozenset(found)

    for name in modules():
        below[name] = reach(name)
    groups = {
        frozenset({name, *(other for other in below[name] if name in below[other])})
        for name in modules()
        if name in below[name]
    }
    return sorted(sorted(group) for group in groups)


def table() -> str:
    """Floors from the ground up: room, modules, lines, and the rooms that it imports from."""
    found = arrows()
    lines = [f"{'floor':>5}  {'room':28} {'modules':>7} {'lines':>6}  imports from"]
    for floor, room in enumerate(ORDER):
        inside = [module for module in modules().values() if module.room == room]
        uses = ", ".join(sorted(found[room], key=ORDER.index)) if room in found else ""
        count = sum(module.path.stem != "__init__" for module in inside)
        lines.append(
            f"{floor:5}  {room:28} {count:7} {sum(module.lines for module in inside):6}  {uses}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())

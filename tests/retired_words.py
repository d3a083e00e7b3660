"""Whether retired words are back in the package's identifiers; part of `make lint`.

The code once had words of its own for things that the field has words for. This prints each
identifier (of variables, parameters, attributes, functions, classes, modules) that has one of them
as a word, with file and line, and ends with 1 if there are any. Comments and texts may use plain
English; `ALLOWED` names the identifiers that may, and why.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "engine", "indexer", "rendering", "web", "commands", "benchmarks")

RETIRED = {
    **dict.fromkeys(("ask", "asks", "asked", "asking"), "query"),
    **dict.fromkeys(("answer", "answers", "answered", "answering"), "hits, result, gallery"),
    **dict.fromkeys(("look", "looks"), "query embedding, gallery embedding"),
    **dict.fromkeys(("home", "homes"), "backend"),
    **dict.fromkeys(("place", "places"), "location, path entry, region, cell"),
    "words": "text, text embedding",
    **dict.fromkeys(("stranger", "strangers"), "background pairs, out-of-collection queries"),
    **dict.fromkeys(("hub", "hubs"), "hubness correction, CSLS"),
    **dict.fromkeys(("heat", "heats"), "heatmap, attribution"),
    "keeper": "background index builder",
    "lets": "filter, allowed",
    **dict.fromkeys(("desk", "crew", "shelf", "fence", "bell"), "what it is"),
}
"""Each with what to say instead."""

RETIRED_PARAMETERS = {"only": "filter"}
"""Words that a parameter alone must not be called."""

_HUGGING_FACE = "the Hub of Hugging Face"
_HOME_FOLDER = "the home folder of a user"

ALLOWED = {
    "huggingface_hub": _HUGGING_FACE,
    "hf_hub_download": _HUGGING_FACE,
    "hf_hub_url": _HUGGING_FACE,
    "HF_HUB_OFFLINE": _HUGGING_FACE,
    "HF_HUB_DISABLE_XET": _HUGGING_FACE,
    "HF_HUB_CACHE": _HUGGING_FACE,
    "hub_file": _HUGGING_FACE,
    "hub_repo": _HUGGING_FACE,
    "hub_unasked": _HUGGING_FACE,
    "_from_hub": _HUGGING_FACE,
    "home": _HOME_FOLDER + ", as in `Path.home`",
    "NO_HOME": _HOME_FOLDER,
    "no_home": _HOME_FOLDER,
}
"""Identifiers that stay, wherever they are, each with its reason."""

ALLOWED_IN = {
    ("engine/lens/options.py", "hubs"): "a key of lens files, and the option --hubs of 'train'",
    ("engine/lens/trainer.py", "hubs"): "the same",
}
"""Identifiers that stay in one module, each with its reason."""

LEFT = Path(__file__).with_suffix(".txt")
"""Identifiers that are still to be renamed: a line each, with path and name."""

AFTER_LOOK = ("at", "for", "like", "on", "up")
"""After these, `look` is a verb."""


class Find(NamedTuple):
    """A retired word in an identifier."""

    path: Path
    line: int
    identifier: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.identifier} (say: {self.instead})"


def words_of(identifier: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in small letters."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]


def identifiers(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line, name, and whether it is a parameter or the keyword of a call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id, False
        elif isinstance(node, ast.Attribute):
            yield node.end_lineno or node.lineno, node.attr, False
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name, False
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg, True
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.value.lineno, node.arg, True
        elif isinstance(node, ast.alias):
            for name in (*node.name.split("."), node.asname or ""):
                yield node.lineno, name, False
        elif isinstance(node, ast.ImportFrom):
            for name in (node.module or "").split("."):
                yield node.lineno, name, False
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.lineno, node.name, False
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            for name in node.names:
                yield node.lineno, name, False


def finds(path: Path, source: str) -> list[Find]:
    """Those of one module, in order of line; `path` is what they say."""
    names = [*((1, part, False) for part in (*path.parent.parts, path.stem)), *identifiers(source)]
    found = set()
    for line, name, is_parameter in names:
        if name in ALLOWED or (path.as_posix(), name) in ALLOWED_IN:
            continue
        if is_parameter and name in RETIRED_PARAMETERS:
            found.add(Find(path, line, name, RETIRED_PARAMETERS[name]))
        found |= {Find(path, line, name, instead) for instead in _instead(name)}
    return sorted(found)


def _instead(identifier: str) -> Iterator[str]:
    """What to say instead of each retired word in it."""
    words = words_of(identifier)
    for word, following in zip_longest(words, words[1:]):
        if word in RETIRED and not (word.startswith("look") and following in AFTER_LOOK):
            yield RETIRED[word]


def modules() -> list[Path]:
    """The package's modules, relative to the repository."""
    paths = [
        *ROOT.glob("*.py"),
        *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")),
    ]
    return sorted(path.relative_to(ROOT) for path in paths)


def left() -> set[tuple[str, str]]:
    """Path and name of each that is still to be renamed."""
    lines = LEFT.read_text().splitlines() if LEFT.exists() else []
    return {(path, name) for path, name in (line.split() for line in lines if line.strip())}


def main() -> int:
    """Print what is found, and which lines of `LEFT` can go; the exit status."""
    found = [find for path in modules() for find in finds(path, (ROOT / path).read_text())]
    known = left()
    for path, name in sorted(known - {(find.path.as_posix(), find.identifier) for find in found}):
        print(f"{LEFT.name}: {path} {name} is no longer there: drop the line")
    new = [find for find in found if (find.path.as_posix(), find.identifier) not in known]
    for find in new:
        print(find)
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())

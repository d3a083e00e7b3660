"""Files under several paths: how they come to be, and what `dupes` says of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tll_index import Group, Recipe, build
from tll_index.indexer.scan.walk import Rules


@contextmanager
def mounted(*arguments: object) -> Iterator[None]:
    """Something mounted at the last of the arguments."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"can't mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(arguments[-1])], check=True)


def index(*roots: str) -> None:
    """With what links lead to."""
    build(list(roots), rules=Rules(follow_links=True), recipe=Recipe("tiny"))


def copies_in(groups: tuple[Group, ...]) -> list[list[tuple[str, list[str]]]]:
    """Each group's copies: path, and the other paths of the same file, from here."""
    return [
        [
            (os.path.relpath(copy.path), [os.path.relpath(path) for path in copy.links])
            for copy in group.copies
        ]
        for group in groups
    ]


def uncertain_in(groups: tuple[Group, ...]) -> dict[str, str]:
    """Path, from here, and state of what may be a copy or not."""
    return {os.path.relpath(one.path): one.state for group in groups for one in group.uncertain}

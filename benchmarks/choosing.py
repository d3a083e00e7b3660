"""Which rows of a benchmark to run, by the words of its command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tll_index.core.errors import UsageError


class _Row(Protocol):
    @property
    def key(self) -> str: ...


_R = TypeVar("_R", bound=_Row)


def chosen(rows: Sequence[_R], words: Sequence[str]) -> list[_R]:
    """Those of `rows` whose keys are named in `words`, each one or several with commas between, in
    their own order; all where none is named.

    Raises:
        UsageError: a key that names none; lists them.
    """
    wanted = [key for word in words for key in word.split(",") if key]
    keys = [row.key for row in rows]
    if unknown := [key for key in wanted if key not in keys]:
        raise UsageError(f"no row is called {unknown[0]!r}; rows are: {', '.join(keys)}")
    return [row for row in rows if not wanted or row.key in wanted]

"""Addresses of stores: what they name, and what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from tll_index.core.errors import UsageError
from tll_index.core.location import Milvus, located


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("milvus://h:1/c", Milvus("c", "h", 1)),
        ("milvus://h/c", Milvus("c", "h", 19530)),
        ("milvus://h:1/db/c", Milvus("c", "h", 1, "db")),
        ("milvus://[::1]:2/c", Milvus("c", "::1", 2)),
        ("milvus-lite:///x/y.db", Milvus("tll_index", file=Path("/x/y.db"))),
        ("milvus-lite:///x/y.db#c", Milvus("c", file=Path("/x/y.db"))),
    ],
)
def test_addresses(text: str, wanted: Milvus) -> None:
    assert located(text) == wanted
    assert located(str(wanted)) == wanted
    assert located(wanted) is wanted


def test_relative_files_are_of_the_current_folder(here: Path) -> None:
    assert located("milvus-lite:y.db") == Milvus("tll_index", file=here / "y.db")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("milvus://h:1", "is not the address of a store"),
        ("milvus://h:x/c", "makes no sense"),
        ("milvus:///c", "is not the address of a store"),
        ("milvus://h:1/a/b/c", "is not the address of a store"),
        ("milvus://h:1/1c", "is not a name for a collection"),
        ("milvus://h:1/c-d", "is not a name for a collection"),
        ("milvus-lite:///", "names no file"),
        ("milvus-lite:///x/y", "ends with .db"),
        ("milvus://root:secret@h:1/c", "leave user, password and options out"),
        ("milvus://h:1/c?token=secret", "leave user, password and options out"),
    ],
)
def test_addresses_that_make_no_sense(
    text: str, says: str, tll_index: Callable[..., Result], here: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        located(text)
    result = tll_index("info", "--store", text)
    assert result.code == 2 and says in result.err
    assert "secret" not in result.err + result.out and "Traceback" not in result.err

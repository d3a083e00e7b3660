"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from tll_index.core.wording import counted


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "picture", "0 pictures"),
        (1, "picture", "1 picture"),
        (1, "copy", "1 copy"),
        (2, "copy", "2 copies"),
        (2, "day", "2 days"),
        (1234, "other path", "1,234 other paths"),
    ],
)
def test_one_is_one(count: int, noun: str, said: str) -> None:
    assert counted(count, noun) == said

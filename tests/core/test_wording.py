"""Numbers with their nouns, and lists."""

from __future__ import annotations

import pytest

from tll_index.core.wording import counted, listed


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


def test_lists_in_a_sentence() -> None:
    assert [listed(names) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]

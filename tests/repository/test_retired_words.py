"""The check of retired words finds them, and only them."""

from __future__ import annotations

from pathlib import Path

import pytest

import retired_words
from retired_words import Find, finds

HERE = Path("engine/lens/new.py")


@pytest.mark.parametrize(
    "source",
    [
        "class Look: ...",
        "def asks(): ...",
        "def search(k, *, only=()): ...",
        "search(5, only=['a'])",
        "store.answer(5)",
        "_HOMES = {}",
        "from .strangers import *",
        "from .pairs import strangers as others",
        "heatOfParts = 1",
        "for place in []: ...",
        "try: ...\nexcept OSError as answer: ...",
        "look_seconds = 5",
    ],
)
def test_it_finds(source: str) -> None:
    assert len(finds(HERE, source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "# an answer of the keeper\n'''Look at home.'''",
        "def look_up(): ...",
        "looks_like_a_path = True",
        "os.replace(a, b)",
        "heatmap = task = mask = placed = homepage = hubness = 1",
        "import huggingface_hub",
        "only = 5",
        "row['places'] = 5",
        "Path.home()",
    ],
)
def test_it_leaves_alone(source: str) -> None:
    assert finds(HERE, source) == []


def test_names_of_modules_count() -> None:
    assert finds(Path("indexer/store/asks.py"), "") == [
        Find(Path("indexer/store/asks.py"), 1, "asks", "query")
    ]


def test_it_fails_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/new.py").write_text("x = 1\nanswer = 2\n")
    monkeypatch.setattr(retired_words, "ROOT", tmp_path)
    monkeypatch.setattr(retired_words, "LEFT", tmp_path / "left.txt")
    assert retired_words.main() == 1
    assert capsys.readouterr().out.startswith("core/new.py:2: answer (say: ")
    (tmp_path / "left.txt").write_text("core/new.py answer\ncore/old.py ask\n")
    assert retired_words.main() == 0
    assert (
        capsys.readouterr().out == "left.txt: core/old.py ask is no longer there: drop the line\n"
    )


def test_every_exception_has_a_reason() -> None:
    for reason in (*retired_words.ALLOWED.values(), *retired_words.ALLOWED_IN.values()):
        assert len(reason) > 7

"""Walking folders: what is looked at, in which order, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tll_index.core.errors import TllError
from tll_index.indexer.scan.walk import FileState, Rules, Walk, is_below, roots_of


def found(root: Path, rules: Rules = Rules(), skip: Path | None = None) -> list[str]:  # noqa: B008
    walk = Walk(os.fsencode(root), rules, frozenset({os.fsencode(skip)} if skip else ()))
    paths = [folder.path + b"/" + name for folder in walk for name in folder.files]
    return [os.fsdecode(path)[len(str(root)) + 1 :] for path in paths]


def touch(root: Path, *names: str | bytes) -> None:
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()


def test_below() -> None:
    assert is_below(b"/a/b", b"/a") and is_below(b"/a", b"/a") and is_below(b"/a", b"/")
    assert is_below(b"s3://b/a", b"s3://b") and not is_below(b"/ab", b"/a")
    with pytest.raises(ValueError, match="not a folder"):  # everything would be below it
        is_below(b"/a", b"")


def test_only_pictures_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "notes.txt", "z/1.webp", "c/2.tiff", "c/d/3.heic", "jpg")
    assert found(tmp_path) == ["a.png", "b.JPG", "c/2.tiff", "c/d/3.heic", "z/1.webp"]


def test_hidden_and_excluded(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".b.png", ".c/d.png", "raw/e.png", "f/raw/g.png", "f/h.gif", "f/i.png")
    assert found(tmp_path) == ["a.png", "f/h.gif", "f/i.png", "f/raw/g.png", "raw/e.png"]
    assert ".c/d.png" in found(tmp_path, Rules(hidden=True))
    assert found(tmp_path, Rules(exclude=("raw",))) == ["a.png", "f/h.gif", "f/i.png"]
    assert found(tmp_path, Rules(exclude=("f/raw", "*.gif"))) == ["a.png", "f/i.png", "raw/e.png"]
    assert found(tmp_path, Rules(exclude=("f/*",))) == ["a.png", "raw/e.png"]


def test_strange_names(tmp_path: Path) -> None:
    touch(
        tmp_path,
        b"\xff\xfe.jpg",
        b"new\nline.jpg",
        b"--x.jpg",
        b"'\"$(rm).jpg",
        b"e" * 251 + b".jpg",
    )
    assert len(found(tmp_path)) == 5


def test_links_are_left_alone_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png", "other/b.png")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "loop").symlink_to(inside)
    (inside / "up").symlink_to(tmp_path)
    (inside / "file.png").symlink_to(tmp_path / "real/a.png")
    (inside / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (inside / "self.png").symlink_to(inside / "self.png")
    assert found(tmp_path) == ["other/b.png", "real/a.png"]
    assert found(tmp_path, Rules(follow_links=True)) == [
        "inside/file.png",
        "other/b.png",
        "real/a.png",
    ]
    assert found(inside, Rules(follow_links=True)) == [
        "file.png",
        "up/other/b.png",
        "up/real/a.png",
    ]


def test_a_link_as_the_root_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert found(tmp_path / "link") == ["a.png"]


def test_the_store_is_not_walked(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "photos.tll/b.png")
    assert found(tmp_path, skip=tmp_path / "photos.tll") == ["a.png"]


def test_very_deep_folders(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    name = "deep" * 60
    for _ in range(20):  # longer than a path that one call can name
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    touch(tmp_path, "a.png")
    walk = Walk(os.fsencode(tmp_path), Rules())
    assert [folder.path for folder in walk] == [os.fsencode(tmp_path)]
    assert list(walk.unknown.values()) == ["can't be listed: File name too long"]


def test_empty_and_missing(tmp_path: Path) -> None:
    for root, is_missing in ((tmp_path, False), (tmp_path / "gone", True)):
        walk = Walk(os.fsencode(root), Rules())
        assert list(walk) == [] and not walk.unknown
        assert walk.is_empty and walk.is_missing == is_missing
    touch(tmp_path, "notes.txt")
    walk = Walk(os.fsencode(tmp_path), Rules())
    assert list(walk) == [] and not walk.is_empty


def test_a_link_to_an_absent_disk_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "disk").symlink_to(tmp_path / "unmounted")
    walk = Walk(os.fsencode(tmp_path), Rules(follow_links=True))
    assert list(walk) == [] and not walk.covers(os.fsencode(tmp_path / "disk/photos"))
    assert walk.covers(os.fsencode(tmp_path / "other"))


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/b/c.png", "ab/d.png")
    (tmp_path / "link").symlink_to(tmp_path / "a/b")
    monkeypatch.chdir(tmp_path)
    wanted = [os.fsencode(tmp_path / name) for name in ("a", "a/b", "ab", "nowhere")]
    assert roots_of(["a/b", "ab", "a", "./a/../ab", "nowhere", "link/../b"]) == wanted
    with pytest.raises(TllError, match=r"c\.png is not a folder"):
        roots_of(["a/b/c.png"])


SECOND = 10**9
STEPS = [1, 100, 1_000_000, 10_000_000, SECOND, 2 * SECOND]
"""Of the clocks of file systems, in nanoseconds: the last two say whole seconds only."""


@given(
    st.sampled_from(STEPS),
    st.integers(0, 2**61),
    st.lists(st.integers(0, 5 * SECOND), min_size=3, max_size=3),
    st.integers(-3600, 3600),
)
def test_what_is_remembered_of_a_file_tells_every_later_change(
    step: int, written: int, pauses: list[int], ahead: int
) -> None:
    """A file is written, its name is handed out, it is read, and written again with equal size.
    Clocks of file systems may be ahead of ours, not behind."""
    asked = written + pauses[0]
    again = asked + pauses[1] + pauses[2]

    def state(when: int) -> FileState:
        return FileState(1000, (when + max(ahead, 0) * SECOND) // step * step)

    remembered = state(written).to_record(asked)
    assert remembered in (state(written), state(written).doubtful)
    assert remembered != state(again)


def test_old_files_are_not_doubted() -> None:
    now = 1_700_000_000 * SECOND
    for mtime_ns in (0, -(2**63), 2**63 - 1, now - SECOND + 1, now - 3 * SECOND, now + 10**15):
        state = FileState(5, mtime_ns)
        assert state.to_record(now) == state != state.doubtful
    for mtime_ns in (now - SECOND, now, now + 5, now - 50_000_001):
        assert FileState(5, mtime_ns).to_record(now) == FileState(5, mtime_ns).doubtful

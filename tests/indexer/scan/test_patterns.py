"""Patterns of paths: what git does with them, and what is ours beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tll_index.core.errors import UsageError
from tll_index.indexer.scan.patterns import Patterns, pattern_of
from tll_index.indexer.scan.rules import RootRules, Rules, Selection
from tll_index.indexer.scan.walk import Walk, absolute
from tll_index.indexer.vector_index.path_filter import PathFilter


def keeps(root: Path, *exclude: str, here: Path | None = None, follow: bool = False) -> list[str]:
    """Paths below `root` that a walk finds with these patterns."""
    rules = Rules(exclude, follow_links=follow)
    bound = RootRules.of(rules, os.fsencode(root), None if here is None else os.fsencode(here))
    walk = Walk(os.fsencode(root), bound)
    paths = [folder.path + b"/" + name for folder in walk for name in folder.files]
    return [os.fsdecode(path)[len(str(root)) + 1 :] for path in paths]


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    root = tmp_path / "lib"
    for name in ("private/a.jpg", "private/deep/b.jpg", "x/c.jpg", "x/private/d.jpg", "e.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


ALL = ["e.jpg", "private/a.jpg", "private/deep/b.jpg", "x/c.jpg", "x/private/d.jpg"]
TOP = ["e.jpg", "x/c.jpg", "x/private/d.jpg"]
BOTH = ["e.jpg", "x/c.jpg"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    {
        **dict.fromkeys(
            ("private", "private/", "**/private", "**/private/", "**/private/**"), BOTH
        ),
        **dict.fromkeys(("/private", "./private", "./private/", ".//private", "lib/private"), TOP),
        **dict.fromkeys(("lib/private/", "/private/**", "private/**", "x/../private"), TOP),
        **dict.fromkeys(("priv*", "[p]rivate", "p?ivate", "*/private"), BOTH),
        "*/private": ["e.jpg", "private/a.jpg", "private/deep/b.jpg", "x/c.jpg"],
        "private/*.jpg": TOP,  # `*` also matches slashes, as in earlier versions
        "/private/*.jpg": [*TOP[:1], "private/deep/b.jpg", *TOP[1:]],
        "*.jpg": [],
        "PRIVATE": ALL,  # case is as it is typed
        "private.jpg": ALL,
        "e.jpg/": ALL,  # only a folder
        "../other/private": ALL,
        "**": [],
    }.items(),
)
def test_what_a_pattern_excludes(lib: Path, pattern: str, left: list[str]) -> None:
    assert keeps(lib, pattern) == left


def test_absolute_in_every_spelling(
    lib: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(lib)
    (tmp_path / "far").symlink_to(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for root in (lib, tmp_path / "link"):
        for one in (lib, tmp_path / "link", tmp_path / "far/lib", tmp_path / "far/far/link"):
            assert keeps(root, f"{one}/private") == TOP, (root, one)
            assert keeps(root, f"{one}/private/") == TOP
            assert keeps(root, f"{one}//private/deep/..") == TOP
        assert keeps(root, "~/lib/private") == keeps(root, "~/link/private/") == TOP
        assert keeps(root, f"{tmp_path}/**/private") == BOTH
        assert keeps(root, f"{tmp_path}/*/private") == TOP
        assert keeps(root, f"{tmp_path}/elsewhere/private") == ALL


def test_a_relative_path_is_one_from_the_current_folder_as_well(lib: Path, tmp_path: Path) -> None:
    assert keeps(lib, "lib/private", here=tmp_path) == TOP
    assert keeps(lib, f"{tmp_path.name}/lib/private", here=tmp_path.parent) == TOP
    assert keeps(lib, "../private", here=lib / "x") == TOP
    assert keeps(lib / "x", "lib/x/private", here=tmp_path) == ["c.jpg"]


def test_what_is_let_in_again(lib: Path) -> None:
    assert keeps(lib, "*.jpg", "!c.jpg") == ["x/c.jpg"]
    assert keeps(lib, "private/*", "!private/a.jpg") == ["e.jpg", "private/a.jpg", *TOP[1:]]
    assert keeps(lib, "private", "!a.jpg") == BOTH  # as in git: its folder is left out
    assert keeps(lib, "!private", "private") == BOTH  # the last decides
    assert keeps(lib, "private", "!/private") == ["e.jpg", *ALL[1:4]]


def test_links_into_what_is_excluded(lib: Path, tmp_path: Path) -> None:
    (lib / "a_link").symlink_to(lib / "private")
    (lib / "b_link.jpg").symlink_to(lib / "private/a.jpg")
    (lib / "c_link").symlink_to(tmp_path / "other")
    for name in ("other/kept.jpg", "other/secret/no.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = keeps(lib, "/private", f"{tmp_path}/other/secret", follow=True)
    assert found == ["e.jpg", "c_link/kept.jpg", "x/c.jpg", "x/private/d.jpg"]
    (lib / "private/deep").rename(lib / "x/deep")
    (lib / "a_link").unlink()
    (lib / "a_link").symlink_to(lib / "x")  # the folder has another path than the pattern says
    assert "a_link/private/d.jpg" not in keeps(lib, "/x/private", follow=True)


def test_names_are_the_same_in_both_forms(tmp_path: Path) -> None:
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        root = tmp_path / form
        folder = unicodedata.normalize(form, "Übersicht")
        typed = unicodedata.normalize(other, "Übersicht")
        (root / folder).mkdir(parents=True)
        (root / folder / "é.jpg").write_bytes(b"")
        (root / "b.jpg").write_bytes(b"")
        for pattern in (typed, f"{typed}/", f"./{typed}", f"{root}/{typed}", f"{typed[:-1]}?"):
            assert keeps(root, pattern) == ["b.jpg"], pattern
            allows = PathFilter([pattern], [os.fsencode(root)])
            assert allows.allows(os.fsencode(root / folder / "é.jpg"))
            assert not allows.allows(os.fsencode(root / "b.jpg"))


def test_names_of_any_bytes(tmp_path: Path) -> None:
    for name in (b"\xff.jpg", b"a\nb/c.jpg", b"#x/c.jpg", b"!x/c.jpg", b"[/c.jpg", b"e /c.jpg"):
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()
    every = set(keeps(tmp_path))
    for pattern, out in (
        ("\udcff*", "\udcff.jpg"),
        ("a\nb", "a\nb/c.jpg"),
        ("#x", "#x/c.jpg"),
        ("\\!x", "!x/c.jpg"),
        ("[", "[/c.jpg"),
        ("[[]", "[/c.jpg"),
        ("e ", "e /c.jpg"),
    ):
        assert every - set(keeps(tmp_path, pattern)) == {out}
    assert set(keeps(tmp_path, "b", "e", "a")) == every


def test_addresses() -> None:
    def skips(pattern: str, path: bytes) -> bool:
        rules = RootRules.of(Rules((pattern,)), b"s3://pics/photos", b"/somewhere")
        return Selection(rules).skips_any(path, False)

    for pattern in ("private", "private/", "photos/private", "s3://pics/photos/private"):
        assert skips(pattern, b"private/a.jpg") and not skips(pattern, b"x/a.jpg")
    assert not skips("s3://other/photos/private", b"private/a.jpg")
    assert not skips("/etc/private", b"private/a.jpg")


@pytest.mark.parametrize("pattern", ["", "!", "", "!"])
def test_empty_patterns(pattern: str) -> None:
    for refuse in (lambda p: RootRules.of(Rules((p,)), b"/x"), lambda p: PathFilter([p], [b"/x"])):
        with pytest.raises(UsageError, match="empty"):
            refuse(pattern)


def test_several_filters() -> None:
    def let(*patterns: str) -> list[str]:
        allows = PathFilter(patterns, [b"/r/lib"])
        every = ("2019/a.jpg", "2019/raw/b.jpg", "2020/c.jpg", "2020/raw/d.jpg")
        return [one for one in every if allows.allows(b"/r/lib/" + one.encode())]

    assert len(let("2019", "2020/*.jpg")) == 4
    assert let("2019", "/2020/*.jpg") == ["2019/a.jpg", "2019/raw/b.jpg", "2020/c.jpg"]
    assert let("2019", "!raw") == ["2019/a.jpg"]
    assert let("!raw") == ["2019/a.jpg", "2020/c.jpg"]  # all others
    assert let("!raw", "b.jpg") == ["2019/a.jpg", "2019/raw/b.jpg", "2020/c.jpg"]
    assert let("lib/2019") == let("./2019/") == let("/r/lib/2019") == let("2019/**")
    assert let("nothing") == []


def test_which_excluded_nothing(lib: Path) -> None:
    walk = Walk(os.fsencode(lib), Rules(("private", "nothing", "x/private", "c.jpg", "!e")))
    list(walk)
    assert walk.selection.used == {"private", "x/private", "c.jpg"}
    assert walk.selection.excluding == ("private", "nothing", "x/private", "c.jpg")


# -- beside git -------------------------------------------------------------------

_PART = st.sampled_from(["a", "b", "ab", "*", "a*", "?", "[ab]", "[!a]", "*.jpg", "**"])
_PATTERN = st.builds(
    lambda sign, front, parts, back: sign + front + "/".join(parts) + back,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "/", "/"]),
    st.lists(_PART, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
_FILES = [
    f"{folder}{name}"
    for folder in ("", "a/", "b/", "a/a/", "a/b/", "b/ab/", "a/b/a/", "ab/", "ab/b/a/")
    for name in ("a.jpg", "ab.jpg", "b.jpg")
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not here")
    root = tmp_path_factory.mktemp("repository") / "zz"
    for name in _FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    subprocess.run([git, "init", "-q", root], check=True)
    return root


def ignored(root: Path, patterns: list[str]) -> set[str]:
    """What git ignores."""
    (root / ".gitignore").write_text("\n".join(patterns) + "\n")
    paths = "\n".join(_FILES).encode()
    command = ["git", "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin"]
    found = subprocess.run(command, cwd=root, input=paths, capture_output=True, check=False)
    assert found.returncode in (0, 1), found.stderr
    return set(found.stdout.decode().split())


def is_gits_alone(pattern: str) -> bool:
    """Whether ours has the same meaning as git's: not where `*` also matches slashes."""
    body = pattern.removeprefix("!").rstrip("/")
    return "/" not in body or body.startswith("/") or "**" in body


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(patterns=st.lists(_PATTERN, min_size=1, max_size=3))
@example(patterns=["a", "*/**/"])
@example(patterns=["**/**/"])
@example(patterns=["*/*/**/", "!a"])
def test_as_git_does_it(repository: Path, patterns: list[str]) -> None:
    wanted = set(_FILES) - ignored(repository, patterns)
    found = set(keeps(repository, *patterns))
    if all(map(is_gits_alone, patterns)):
        assert found == wanted
    elif not any(pattern.startswith("!") for pattern in patterns):
        assert found <= wanted  # nothing is let in that git would keep out


def test_many_paths_are_fast(benchmark_seconds: float = 3.0) -> None:
    import time

    rows = [pattern_of(f"folder{n}/*.tmp", b"/r") for n in range(20)]
    patterns = Patterns([pattern_of("private/", b"/r"), pattern_of("*.bak", b"/r"), *rows])
    paths = [f"2019/{n % 97}/picture{n}.jpg" for n in range(100_000)]
    started = time.process_time()
    assert not any(map(patterns.keeps_out, paths))
    assert time.process_time() - started < benchmark_seconds  # 0.5 s of a quiet core


def test_a_path_is_absolute_as_it_was(tmp_path: Path) -> None:
    assert absolute(tmp_path) == os.fsencode(tmp_path)

"""Files of any name, through the command line: indexed, shown, quoted, and found again by it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from conftest import Result
from pictures import encoded, noise

Cli = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]

NAMES = (
    b"new\nline.png",
    b"line\r\nends.png",
    b"tab\t.png",
    b"'single'.png",
    b'"double".png',
    b"back\\slash.png",
    b"back\\nslash-n.png",  # which is no newline
    b"--x.png",
    b"-.png",
    b"-k.png",
    b" leading.png",
    b"trailing .png",
    b"$(id) `id` ;&|*?[a]{b}~.png",
    b"%s %n {0}.png",
    b"\xff\xfe.png",
    b"caf\xe9.png",
    "café.png".encode(),  # one character
    "cafe\u0301.png".encode(),  # and two of them: other names on most systems
    "\u202egnp.exe.png".encode(),  # turns what follows around
    "\U0001f427.png".encode(),
    b"case.png",
    b"CASE.png",
    b"case.PNG",
    b"x" * 251 + b".png",
    b"\xc3" * 251 + b".png",
)
FOLDERS = (b"-", b"--folder", b" ", b"new\nline", b"\xff", b"'\"\\")


def put(path: bytes, seed: int) -> bytes:
    """A picture like no other at this path."""
    with open(path, "wb") as file:
        file.write(encoded(noise(seed), "PNG"))
    return path


@pytest.fixture
def strange(here: Path) -> list[bytes]:
    """Pictures of strange names, in order; the file system has to allow them."""
    top = os.fsencode(here / "photos")
    os.mkdir(top)
    paths = []
    for seed, name in enumerate((*NAMES, *(folder + b"/a.png" for folder in FOLDERS))):
        os.makedirs(os.path.dirname(top + b"/" + name), exist_ok=True)
        try:
            paths.append(put(top + b"/" + name, seed))
        except OSError as error:
            pytest.skip(f"this file system has no {name!r}: {error.strerror}")
    if len({os.stat(path).st_ino for path in paths}) < len(paths):
        pytest.skip("this file system takes some of these names for one")
    return sorted(paths)


def run(spawn: Spawn, *arguments: object) -> bytes:
    """What a command that succeeds prints."""
    process = spawn(*arguments)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
    return out


@pytest.mark.slow
def test_any_name(strange: list[bytes], spawn: Spawn, here: Path, tll_index: Cli) -> None:
    built = run(spawn, "build", "photos", "--backbone", "tiny", "--report", "report.jsonl")
    assert built.startswith(b"%d added, 0 updated, 0 unchanged" % len(strange)), built
    every = ("query", "--sample", 1, "-k", 1000, "--include-self")
    # -0: the bytes as they are, whatever they are.
    raw = run(spawn, *every, "-0")
    assert raw.endswith(b"\0") and sorted(raw[:-1].split(b"\0")) == strange
    # JSON: one line each, every name back to its bytes.
    hits = [json.loads(line) for line in tll_index(*every, "--json").out.splitlines()]
    assert sorted(os.fsencode(hit["path"]) for hit in hits) == strange
    assert all(hit["paths"] == [hit["path"]] for hit in hits)
    # The table: a line each, nothing that a terminal would obey.
    lines = tll_index(*every).out.splitlines()[1:]
    assert len(lines) == len(strange) and all(line.isprintable() for line in lines)
    shown = {line.split(None, 2)[2] for line in lines}
    for name in (r"new\nline.png", r"tab\t.png", r"\xff\xfe.png", r"caf\xe9.png", "café.png"):
        assert f"photos/{name}" in shown
    assert {"photos/--x.png", r"photos/\u202egnp.exe.png", r"photos/\xff/a.png"} <= shown
    assert len(shown) == len(strange)
    # Paths a line each, for names that have no line of their own.
    listed = tll_index(*every, "--paths").out
    assert "photos/--x.png\n" in listed and "photos/CASE.png\n" in listed
    again = tll_index("build", "photos").out
    assert again.startswith(f"0 added, 0 updated, {len(strange)} unchanged"), again


def test_asking_by_any_name(
    strange: list[bytes], tll_index: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ("-k", 1, "--include-self", "--json")
    assert tll_index("build", "photos", "--backbone", "tiny", "--quiet").code == 0
    lines = tll_index("query", *map(os.fsdecode, strange), *one).out.splitlines()
    assert [os.fsencode(json.loads(line)["path"]) for line in lines] == strange
    monkeypatch.chdir("photos")
    for arguments, name in (
        (("./--x.png", *one), "--x.png"),
        ((*one, "--", "--x.png"), "--x.png"),
        (("./-/a.png", *one), "-/a.png"),
        ((*one, "--", "-.png"), "-.png"),  # "-" alone is standard input
    ):
        assert json.loads(tll_index("query", *arguments).out)["path"].endswith(f"/photos/{name}")
    failed = tll_index("query", "--x.png")
    assert failed.code == 2 and "for the file of this name, say ./--x.png" in failed.err
    # As in a shell; and in a locale that knows none of these characters.
    shell = 'find . -type f -print0 | xargs -0 "$@" query -k 1 -0 --include-self --'
    found = subprocess.run(
        ["bash", "-c", shell, "bash", sys.executable, tiny.__file__],
        capture_output=True,
        env={**os.environ, "LC_ALL": "C", "TLL_STORE": "../.tll-index"},
    )
    assert sorted(found.stdout[:-1].split(b"\0")) == strange, found.stderr


def test_broken_files_of_any_name(here: Path, tll_index: Cli) -> None:
    """Reported a line each, in the summary, the report and by query."""
    top = os.fsencode(here / "photos")
    os.mkdir(top)
    names = sorted((b"bad\nname.jpg", b"\x1b[31m.jpg", b"\xff.jpg", b"--bad.jpg", b"'\".jpg"))
    for name in names:
        Path(os.fsdecode(top + b"/" + name)).write_text("no picture")
    put(top + b"/good.png", 1)
    out = tll_index("build", "photos", "--backbone", "tiny", "--report", "report.jsonl").out
    lines = [line for line in out.splitlines() if line.startswith("  photos/")]
    assert len(lines) == 3 and all(line.isprintable() for line in lines)  # then --report is named
    assert lines[0] == r"  photos/\x1b[31m.jpg: is not a picture of a format known here"
    reported = [json.loads(line) for line in (here / "report.jsonl").read_text().splitlines()]
    assert sorted(os.fsencode(one["path"]) for one in reported) == [
        top + b"/" + name for name in names
    ]
    failed = tll_index("query", *(os.fsdecode(top + b"/" + name) for name in names))
    assert failed.code == 1 and failed.err.count("\n") == len(names)
    for shown in (r"bad\nname.jpg", r"\x1b[31m.jpg", r"\xff.jpg", "--bad.jpg", "'\".jpg"):
        assert f"photos/{shown}: is not a picture" in failed.err


def test_links_out_of_the_tree(here: Path, tll_index: Cli) -> None:
    for seed, folder in enumerate(("photos", "elsewhere/deep")):
        (here / folder).mkdir(parents=True)
        put(os.fsencode(here / folder / f"real{seed}.png"), seed)
    put(os.fsencode(here / "elsewhere/single.png"), 7)
    (here / "photos/out").symlink_to(here / "elsewhere")
    (here / "photos/linked.png").symlink_to(here / "elsewhere/single.png")
    (here / "photos/up").symlink_to(here)  # a loop
    (here / "photos/self.png").symlink_to(here / "photos/self.png")
    (here / "elsewhere/deep/back").symlink_to(here / "photos")
    (here / "photos/zero.png").symlink_to("/dev/zero")
    (here / "photos/gone.png").symlink_to(here / "nowhere.png")

    def built(*arguments: str) -> str:
        return tll_index("build", "photos", *arguments).out

    def paths() -> list[str]:
        raw = tll_index("query", "--sample", 1, "-k", 99, "--include-self", "--json").out
        found = [path for line in raw.splitlines() for path in json.loads(line)["paths"]]
        return sorted(os.path.relpath(path, here / "photos") for path in found)

    out = built("--backbone", "tiny")
    assert out.startswith("1 added, 0 updated, 0 unchanged, 0 moved, 0 removed, 0 skipped"), out
    assert paths() == ["real0.png"]
    out = built("--follow-links")
    assert out.startswith("3 added, 0 updated, 1 unchanged, 0 moved, 0 removed"), out
    assert "gone.png: is a link to what is not there now" in out
    assert paths() == ["linked.png", "out/deep/real1.png", "out/single.png", "real0.png"]
    out = built("--no-rules")
    assert out.startswith("0 added, 0 updated, 1 unchanged, 0 moved, 3 removed, 0 skipped"), out
    assert paths() == ["real0.png"]


def test_deeper_than_a_path_can_say(here: Path, tll_index: Cli) -> None:
    """Beyond PATH_MAX, what can't be opened by name is reported; the rest is indexed."""
    (here / "photos").mkdir()
    put(os.fsencode(here / "photos/top.png"), 0)
    name, depth = "d" * 200, 40
    descriptor = os.open(here / "photos", os.O_RDONLY)
    try:
        for level in range(depth):
            os.mkdir(name, dir_fd=descriptor)
            below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
            picture = os.open("p.png", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor)
            with open(picture, "wb") as file:
                file.write(encoded(noise(level + 1), "PNG"))
    except OSError as error:
        pytest.skip(f"this file system is not so deep: {error.strerror}")
    finally:
        os.close(descriptor)
    reachable = 1 + (os.pathconf(here, "PC_PATH_MAX") - len(os.fsencode(here / "photos"))) // 201
    out = tll_index("build", "photos", "--backbone", "tiny").out
    added = int(out.split(" added")[0])
    assert abs(added - reachable) <= 1, out
    assert "File name too long" in out
    out = tll_index("build", "photos").out
    assert out.startswith(f"0 added, 0 updated, {added} unchanged, 0 moved, 0 removed"), out
    shutil.rmtree(here / "photos")  # which pytest could not

"""Rules by the command line in processes of their own: what is typed, remembered, watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pictures import encoded, noise

Spawn = Callable[..., "subprocess.Popen[bytes]"]
BUILD = ("build", "lib", "--backbone", "tiny", "--store", "s.tll")


@pytest.fixture
def lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("private/a.png", "x/b.png")):
        (tmp_path / "lib" / name).parent.mkdir(parents=True)
        (tmp_path / "lib" / name).write_bytes(encoded(noise(seed), "PNG"))
    return tmp_path / "lib"


def said(process: subprocess.Popen[bytes]) -> str:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return out.decode()


@pytest.mark.slow
def test_patterns_that_people_type(lib: Path, spawn: Spawn) -> None:
    for pattern in ("private/", "./private", "lib/private", f"{lib}/private", "**/private/**"):
        text = said(spawn(*BUILD, "--exclude", pattern, "--dry-run"))
        assert "1 new" in text and "excluded nothing" not in text, pattern


@pytest.mark.slow
def test_watch_goes_by_what_is_remembered(lib: Path, spawn: Spawn) -> None:
    said(spawn(*BUILD, "--exclude", "private"))
    watch = spawn("watch", "--store", "s.tll", "--json")
    assert watch.stdout is not None
    try:
        first = json.loads(watch.stdout.readline())
        assert (first["added"], first["rules"]) == (0, {str(lib): ["--exclude", "private"]})
        (lib / "private/c.png").write_bytes(encoded(noise(7), "PNG"))
        (lib / "private/c.png").rename(lib / "private/d.png")
        (lib / "x/e.png").write_bytes(encoded(noise(8), "PNG"))
        assert json.loads(watch.stdout.readline())["added"] == 1
    finally:
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=500)
    assert "2 different" in said(spawn("info", "--store", "s.tll"))


@pytest.mark.slow
def test_a_filter_in_the_other_form(lib: Path, spawn: Spawn) -> None:
    stored, typed = "U\u0308bersicht", "\u00dcbersicht"
    (lib / "x").rename(lib / stored)
    said(spawn(*BUILD))
    for pattern in (typed, f"{typed}/*.png", f"lib/{typed}", f"{lib}/{typed}/"):
        text = said(spawn("query", "--sample", "1", "--include-self", "--store", "s.tll",
                          "--paths", "--filter", pattern))  # fmt: skip
        assert [os.path.basename(line) for line in text.split()] == ["b.png"]

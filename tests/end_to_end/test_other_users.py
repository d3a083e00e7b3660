"""Users without a home, or with one that is closed or can't be written; folders that may not be
entered."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from other_user import HERE, UID, as_other, open_folder, prefix
from pictures import fill_folder
from tll_index import Recipe, build
from tll_index.core import cache_folder
from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError
from tll_index.core.paths import named, why_hidden

LINE = "TLL_HOME or TLL_CACHE_DIR names another"


@pytest.fixture
def place(furnished: Path) -> Iterator[Path]:
    """Open to all: photos, their store S, weights; tmp for all, own of the other user, closed."""
    prefix()
    with open_folder() as folder:
        fill_folder(folder / "photos", 5)
        build([folder / "photos"], store=folder / "S", recipe=Recipe("tiny", lens="none"))
        shutil.copytree(furnished / "weights", folder / "weights")
        for file in (folder / "weights").iterdir():
            file.chmod(0o644)
        for name, mode in {"tmp": 0o1777, "own": 0o755, "closed": 0o700, "still": 0o555}.items():
            (folder / name).mkdir()
            (folder / name).chmod(mode)
        os.chown(folder / "own", UID, UID)
        (folder / "closed/S").mkdir()
        (folder / "file").write_text("no folder")
        yield folder


def environment(place: Path, home: str | None) -> dict[str, str]:
    chosen = {"TMPDIR": str(place / "tmp"), "TLL_WEIGHTS_DIR": str(place / "weights")}
    return chosen if home is None else {**chosen, "HOME": home.replace("PLACE", str(place))}


def without_telemetry(said: str) -> list[str]:
    """ONNX Runtime's own complaints are not ours."""
    return [line for line in said.splitlines() if "onnxruntime" not in line]


HOMES = {
    "unset": None,
    "missing": "/nonexistent",
    "closed": "PLACE/closed",
    "read-only": "PLACE/still",
    "file": "PLACE/file",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOMES)
def test_every_command_works_without_a_home(place: Path, kind: str) -> None:
    picture, other = (place / f"photos/picture000{at}.png" for at in (1, 2))
    store = ("--store", place / "S")
    quiet, cached = [
        ("--help",),
        ("info", *store),
        ("dupes", *store),
        ("verify", *store),
        ("backbones",),
        ("copy", place / "S", place / "own/copy"),
        ("export", place / "own/all.npz", *store),
    ], [
        ("query", picture, *store, "-k", "2", "--paths"),
        ("why", picture, other, *store),
        ("build", place / "photos", "--store", place / "own/S", "--backbone", "tiny", "-q"),
    ]  # fmt: skip
    outcomes = as_other(*cached, *quiet, environment=environment(place, HOMES[kind]), folder=place)
    for command, outcome in zip([*cached, *quiet], outcomes, strict=True):
        assert outcome.code == 0 and "Traceback" not in outcome.err, (command, outcome)
        assert outcome.err.count(LINE) == (command in cached), (command, outcome.err)
    assert len(outcomes[0].out.splitlines()) == 2
    (private,) = (place / "tmp").glob("tll-index-*")
    status = private.stat()
    assert private.name == f"tll-index-{UID}" and status.st_uid == UID
    assert status.st_mode & 0o777 == 0o700
    assert len(list((private / "networks").iterdir())) == 1  # once for all commands
    assert not (place / "~").exists()


@pytest.mark.slow
def test_serve_without_a_home(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*prefix(), sys.executable, HERE / "tiny.py", "serve", "--store", place / "S",
         "--port", str(port)],
        env={"PATH": os.environ["PATH"], **environment(place, None)},
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        with httpx.Client(base_url=url, timeout=500, trust_env=False) as client:
            (one,) = client.get("api/random?count=1").json()["pictures"]
            assert client.get(f"api/pictures/{one['id']}/thumbnail").status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=500)
    assert said.decode().count(LINE) == 1
    assert list((place / f"tmp/tll-index-{UID}/thumbnails").rglob(f"{one['id']}-*"))


@pytest.mark.slow
def test_what_is_in_a_closed_folder_is_said_to_be(place: Path) -> None:
    """Of each command: the line says that it is closed, not that nothing is there."""
    picture, closed, own = place / "photos/picture0001.png", place / "closed", place / "own"
    store = ("--store", place / "S")
    commands = [
        ("query", picture, "--store", closed / "S"),
        ("info", "--store", closed / "S"),
        ("verify", "--store", closed / "S"),
        ("repair", "--store", closed / "S"),
        ("query", closed / "a.png", *store),
        ("query", picture, *store, "--weights", closed / "w.pt"),
        ("why", picture, picture, "--lens", closed / "lens.npz"),
        ("build", closed / "photos", "--store", own / "S"),
        ("build", place / "photos", "--store", closed / "T", "--backbone", "tiny"),
        ("backup", closed / "B", *store),
        ("export", closed / "all.npz", *store),
        ("copy", closed / "S", own / "copy"),
        ("copy", place / "S", closed / "copy"),
        ("merge", closed / "S", "--store", own / "M"),
        ("import", closed / "embeddings", "--store", own / "I"),
        ("import", closed, "--store", own / "I"),
        ("eval", closed / "data"),
        ("train", closed / "data", "--out", own / "lens.npz"),
    ]
    outcomes = as_other(*commands, environment=environment(place, None), folder=place)
    for command, outcome in zip(commands, outcomes, strict=True):
        said = [line for line in without_telemetry(outcome.err) if LINE not in line]
        assert outcome.code == 1 and len(said) == 1, (command, outcome)
        assert "permission denied" in said[0].lower() and "bug" not in said[0], (command, said)


@pytest.mark.slow
def test_settings_that_lead_into_a_closed_folder(place: Path) -> None:
    """Own weights and lenses that can't be seen are as none; so is a nearer store."""
    shutil.copytree(place / "S", place / "own/.tll-index")
    (place / "own/deep/.tll-index").mkdir(parents=True, mode=0o700)
    settings = {
        **environment(place, "PLACE/closed"),
        "TLL_LENS_DIR": str(place / "closed/lenses"),
        "TLL_CACHE_DIR": str(place / "closed/cache"),
    }
    found, backbones = as_other(
        ("info",), ("backbones",), environment=settings, folder=place / "own/deep"
    )
    assert found.code == 0 and str(place / "own/.tll-index") in found.out
    assert backbones.code == 0
    shutil.rmtree(place / "own/.tll-index")
    (closed,) = as_other(("info",), environment=settings, folder=place / "own/deep")
    assert closed.code == 1 and "ermission denied" in closed.err


@pytest.fixture
def temporary(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    cache_folder._passing_folder.cache_clear()
    return here


def test_the_private_folder_is_the_same_each_time(temporary: Path) -> None:
    first = cache_folder.private_folder()
    assert first == cache_folder.private_folder() == temporary / f"tll-index-{os.getuid()}"
    assert first.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["link", "open", "file", "foreign"])
def test_what_others_planted_is_not_used(temporary: Path, planted: str) -> None:
    path = temporary / f"tll-index-{os.getuid()}"
    if planted == "link":
        (temporary / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(temporary / "elsewhere")
    elif planted == "file":
        path.write_text("")
    else:
        path.mkdir(mode=0o700)
        if planted == "open":
            path.chmod(0o777)
        elif os.getuid() != 0:
            pytest.skip("only root can make a folder of somebody else")
        else:
            os.chown(path, UID, UID)
    found = cache_folder.private_folder()
    assert found != path and found == cache_folder.private_folder()
    assert found.stat().st_mode & 0o777 == 0o700 and not found.is_symlink()
    (found / "kept").write_text("")
    assert not list(temporary.glob("elsewhere/*")) and not list(temporary.glob(f"{path.name}/*"))


@pytest.mark.parametrize("text", ["~nobody-of-that-name/x", "~"])
def test_homes_that_nobody_knows(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    with pytest.raises(UsageError, match="write its path"):
        named(text)
    monkeypatch.setenv("TLL_CACHE_DIR", text)
    with pytest.raises(UsageError, match="TLL_CACHE_DIR: ~"):
        load_settings()
    monkeypatch.setenv("TLL_HOME", text)
    with pytest.raises(UsageError, match="TLL_HOME: ~"):
        load_settings()


def test_why_nobody_can_tell(here: Path) -> None:
    (here / "there").write_text("")
    (here / "loop").symlink_to("loop")
    assert why_hidden(here / "there") == why_hidden(here / "gone") == ""
    assert why_hidden(here / "there/below") == ""
    assert why_hidden(here / "loop") and why_hidden("a\0b") and why_hidden("x" * 300)

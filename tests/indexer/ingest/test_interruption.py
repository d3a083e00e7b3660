"""Builds that are killed, interrupted, or out of disk: one line, nothing lost, and they go on."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builds import embedded, everything, run, wait_for
from conftest import LOCATIONS, Result, the_store
from pictures import fill_folder, noise
from tll_index import Store
from tll_index.core.errors import StoreError
from tll_index.indexer.ingest import spool as spooling

Spawn = Callable[..., "subprocess.Popen[bytes]"]

BUILD = ("build", "photos", "--backbone", "tiny", "--batch-size", "4")


# Not at an address: there, the claim of who was killed is good for another minute.
@pytest.mark.parametrize("anywhere", LOCATIONS, indirect=True)
@pytest.mark.slow
def test_kill_in_the_middle_then_go_on(
    anywhere: str, here: Path, log: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 60)
    monkeypatch.setenv("TINY_SECONDS", "0.05")
    times = random.Random(4)
    lost = 0
    for kills in (1, 2, 3):
        before = embedded(log)
        process = spawn(*BUILD, "--store", the_store())
        wait_for(lambda before=before: embedded(log) >= before + 8)
        time.sleep(times.random() * 0.1)
        process.kill()
        process.communicate()
        committed = len(everything())  # it opens, and what was committed is found
        lost = embedded(log) - committed
        assert lost <= 4 * kills, "more than the last batch of each was lost"
    process = spawn(*BUILD, "--store", the_store())
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert len(everything()) == 60
    assert embedded(log) == 60 + lost
    assert run("photos") == {"unchanged": 60}


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_interrupt_then_go_on(
    here: Path, log: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 40)
    monkeypatch.setenv("TINY_SECONDS", "0.1")
    process = spawn(*BUILD, "--store", the_store())
    wait_for(lambda: embedded(log) >= 8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 130
    assert b"run the same command again" in err and b"Traceback" not in err
    kept = len(everything())
    assert 4 <= kept < 40 and f"{kept} added".encode() in out
    monkeypatch.setenv("TINY_SECONDS", "0")
    assert run("photos") == {"added": 40 - kept, "embedded": 40 - kept, "unchanged": kept}


@pytest.mark.slow
def test_readers_during_a_build(
    here: Path, log: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One open store answers throughout: complete batches, more and more, never fewer."""
    fill_folder(here / "photos", 4)
    run("photos")
    fill_folder(here / "photos", 40, first=4)
    monkeypatch.setenv("TINY_SECONDS", "0.05")
    process = spawn(*BUILD, "--store", the_store())
    seen = []
    with Store.open(the_store()) as store:
        while process.poll() is None:
            seen.append(len(store.query("photos/picture0000.png", k=100, include_self=True)))
        assert process.communicate() and process.returncode == 0
        seen.append(len(store.query("photos/picture0000.png", k=100, include_self=True)))
    assert seen == sorted(seen) and seen[0] == 4 and seen[-1] == 44
    assert all(count % 4 == 0 for count in seen) and len(set(seen)) > 3


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    disk = here / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_disk_full(here: Path, small_disk: Path, spawn: Spawn) -> None:
    """A store on a disk of 0.8 MB: the build ends in one line, what was committed stays, and
    goes on once there is room."""
    fill_folder(here / "photos", 1500)
    arguments = ("build", "photos", "--backbone", "tiny", "--store", "disk/store")
    arguments += ("--batch-size", "16", "--quiet")
    process = spawn(*arguments)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 1
    lines = err.decode().strip().splitlines()
    assert len(lines) == 1 and "no room left on the disk" in lines[0], err.decode()
    kept = len(everything("disk/store"))
    assert 16 <= kept < 1500
    remount = ["mount", "-o", "remount,size=64m", str(small_disk)]
    subprocess.run(remount, check=True)
    found = run("photos", store="disk/store")
    assert found == {"added": 1500 - kept, "embedded": 1500 - kept, "unchanged": kept}


@pytest.mark.slow
def test_file_size_limit(here: Path, spawn: Spawn) -> None:
    """The same by a limit that needs no rights: files may not grow beyond 300 kB."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    fill_folder(here / "photos", 400)
    process = spawn(*BUILD, "--store", "store", "--quiet", preexec_fn=limit)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 1
    assert b"make room and run the same command again" in err, err.decode()
    assert err.count(b"\n") == 1, err.decode()
    kept = len(everything())
    assert run("photos") == {"added": 400 - kept, "embedded": 400 - kept, "unchanged": kept}


def test_read_only_disk(here: Path, small_disk: Path) -> None:
    fill_folder(here / "photos", 3)
    run("photos", store="disk/store")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert len(everything("disk/store")) == 3
    noise(77).save(here / "photos/new.png")
    with pytest.raises(StoreError, match="can't be written"):
        run("photos", store="disk/store")
    (small_disk / "store").exists()
    assert len(everything("disk/store")) == 3


def test_a_full_temporary_folder_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, tll_index: Callable[..., Result]
) -> None:
    """A list of many files goes to a file; where that has no room, nothing is indexed or lost."""
    fill_folder(here / "photos", 30)
    run("photos")
    for path in sorted((here / "photos").iterdir())[:20]:
        path.unlink()
    full = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    with monkeypatch.context() as patched:
        patched.setattr(spooling, "_IN_MEMORY", 10)
        patched.setattr(spooling.tempfile, "TemporaryFile", lambda *_, **__: full)
        result = tll_index("build", "--store", "store")
    assert result.code == 1 and "TMPDIR" in result.err and "Traceback" not in result.err
    assert result.err.count("\n") == 1 and "No space left" in result.err
    assert full.closed
    assert len(everything()) == 30

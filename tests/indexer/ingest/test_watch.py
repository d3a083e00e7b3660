"""Watching: what changes is in the store soon after, whatever happens to it or the folders."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import tiny
from conftest import the_store
from pictures import encoded, fill_folder, noise
from tll_index import BuildReport, Listener, Recipe, Store, build, watch
from tll_index.core.errors import TllError, UsageError
from tll_index.indexer.backends.layout import writer_lock
from tll_index.indexer.ingest import watch as watching
from tll_index.indexer.ingest.report import Skipped
from tll_index.indexer.scan.events import ChangeSignal, Observer
from tll_index.indexer.scan.walk import Rules

TINY = Recipe("tiny")
SECONDS = 500


class Heard(Listener):
    """Keeps what it hears, in order."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()

    def built(self, report: BuildReport, fresh: list[Skipped]) -> None:
        self._events.put(("built", (report, fresh)))

    def waiting(self, why: str) -> None:
        self._events.put(("waiting", why))

    def failed(self, error: Exception, rest: float) -> None:
        self._events.put(("failed", error))

    def polling(self, why: str, seconds: float) -> None:
        self._events.put(("polling", why))

    def next(self, kind: str) -> Any:
        """What comes next, which must be of this kind."""
        found, value = self._events.get(timeout=SECONDS)
        assert found == kind, value
        return value

    def counts(self) -> dict[str, int]:
        """Of the build that comes next."""
        report, _ = self.next("built")
        names = ("added", "updated", "moved", "removed")
        return {name: count for name in names if (count := getattr(report, name))}

    @property
    def is_empty(self) -> bool:
        return self._events.empty()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(watching, "_WAKES", 0.1)
    monkeypatch.setattr(watching, "_BUSY", 0.1)
    monkeypatch.setattr(watching, "_FIRST_REST", 0.1)


@contextmanager
def watched(*folders: Path | str, **options: Any) -> Iterator[Heard]:
    """While a thread watches."""
    heard, stop = Heard(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            watch(folders, recipe=TINY, listener=heard, stop=stop, **options)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield heard
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive() and not failures, failures


def paths_in(store: Path | str) -> set[str]:
    with Store.open(store) as opened:
        return {os.path.relpath(path) for path in opened.sample(1000)}


def test_follows_what_changes(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 3)
    with watched("photos", store="photos/s.tll") as heard:
        assert heard.counts() == {"added": 3}
        (home / "weights/tiny.safetensors").unlink()  # the network is loaded, and stays so
        fill_folder(here / "photos/new/deeper", 2, first=10)
        assert heard.counts() == {"added": 2}
        noise(50).save(here / "photos/new/deeper/late.png")
        assert heard.counts() == {"added": 1}
        (here / "photos/picture0000.png").rename(here / "photos/new/moved.png")
        assert heard.counts() == {"moved": 1}
        (here / "photos/picture0001.png").unlink()
        assert heard.counts() == {"removed": 1}
        noise(60, 50, 50).save(here / "photos/picture0002.png")
        assert heard.counts() == {"updated": 1}
        shutil.rmtree(here / "photos/new/deeper")
        assert heard.counts() == {"removed": 3}
        fill_folder(here / "elsewhere", 1, first=70)
        (here / "elsewhere").rename(here / "photos/came")
        assert heard.counts() == {"added": 1}
    assert paths_in("photos/s.tll") == {
        "photos/picture0002.png", "photos/new/moved.png", "photos/came/picture0070.png"
    }  # fmt: skip


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_follows_what_changes_wherever_the_store_is(here: Path) -> None:
    fill_folder(here / "photos", 3)
    fill_folder(here / "photos/album", 2, first=10)
    with watched("photos", store=the_store()) as heard:
        assert heard.counts() == {"added": 5}
        fill_folder(here / "photos/new", 1, first=20)
        assert heard.counts() == {"added": 1}
        (here / "photos/picture0000.png").rename(here / "photos/new/moved.png")
        assert heard.counts() == {"moved": 1}
        (here / "photos/picture0001.png").unlink()
        assert heard.counts() == {"removed": 1}
        shutil.rmtree(here / "photos/album")
        assert heard.counts() == {"removed": 2}
    assert paths_in(the_store()) == {
        "photos/picture0002.png", "photos/new/moved.png", "photos/new/picture0020.png"
    }  # fmt: skip


def test_what_rings_where_the_store_has_no_folder(here: Path) -> None:
    (here / "photos").mkdir()
    heard = threading.Event()
    with Observer(Rules(), None, heard.set) as observer:
        observer.observe([os.fsencode(here / "photos")])
        assert heard.is_set()
        heard.clear()
        noise(1).save(here / "photos/new.png")
        assert heard.wait(SECONDS)


def test_what_rings_and_what_does_not(here: Path) -> None:
    """Above all: a build, whose store is in the folder, and which reads all that is there."""
    fill_folder(here / "photos", 3)
    fill_folder(here / "photos/out", 1)
    rings: list[float] = []
    heard = threading.Event()

    def ring() -> None:
        rings.append(time.monotonic())
        heard.set()

    store = here / "photos/s.tll"
    with Observer(Rules(("out",)), os.fsencode(store), ring) as observer:
        observer.observe([os.fsencode(here / "photos")])
        observer.observe([os.fsencode(here / "photos")])
        assert len(rings) == 1
        build(["photos"], store=store, recipe=TINY)  # makes it
        build(["photos"], store=store, checksum=True)  # opens each
        build([], store=store, allow_empty=True)
        (here / "photos/notes.txt").write_text("words")
        (here / "photos/.hidden").mkdir()
        for hidden in (".hidden/a.png", ".b.png", "out/c.png"):
            noise(9).save(here / "photos" / hidden)
        (here / "photos/notes.txt").rename(here / "photos/words.txt")
        assert len(rings) == 1
        for change in (
            lambda: noise(7).save(here / "photos/new.png"),
            lambda: (here / "photos/new.png").rename(here / "photos/new.txt"),
            lambda: (here / "photos/folder").mkdir(),
        ):
            before = len(rings)
            heard.clear()
            change()  # events come in order: what was before rang nothing
            assert heard.wait(SECONDS) and len(rings) > before
            settled(rings)


def settled(rings: list[float]) -> None:
    """Wait until the events of one change are over."""
    before = -1
    while before != len(rings):
        before = len(rings)
        time.sleep(0.05)


def test_a_bell_waits_for_quiet_but_not_for_ever() -> None:
    change_signal = ChangeSignal(quiet=5, patience=8)
    assert change_signal.due() == float("inf")
    change_signal.ring()
    first = change_signal.due()
    assert 4.9 < first - time.monotonic() <= 5
    change_signal.ring()
    assert first <= change_signal.due()  # quiet again, from now on
    change_signal._first -= 7.5  # as if it had gone on for so long
    assert change_signal.due() - time.monotonic() < 1
    change_signal.hush()
    assert change_signal.due() == float("inf")


def test_a_busy_store_is_waited_for(here: Path) -> None:
    fill_folder(here / "photos", 1)
    with ExitStack() as stack:
        with writer_lock(here / "s.tll"):
            heard = stack.enter_context(watched("photos", store="s.tll"))
            assert "another tll-index is writing" in heard.next("waiting")
            time.sleep(0.4)  # in which it is tried several times
            assert heard.is_empty
        assert heard.counts() == {"added": 1}


def test_others_can_write_between(here: Path) -> None:
    """The lock is held only during builds."""
    fill_folder(here / "photos", 2)
    fill_folder(here / "more", 1, first=5)
    with watched("photos", store="s.tll") as heard:
        assert heard.counts() == {"added": 2}
        for _ in range(100):
            try:
                build(["more"], store="s.tll")
                break
            except TllError:  # the first build has not let go yet
                time.sleep(0.05)
        with writer_lock(here / "s.tll"):
            fill_folder(here / "photos", 1, first=8)
            assert "another" in heard.next("waiting")
        assert heard.counts() == {"added": 1}
    assert len(paths_in("s.tll")) == 4


def test_a_build_that_fails_is_repeated(here: Path) -> None:
    fill_folder(here / "photos", 1)
    with watched("photos", store="s.tll") as heard:
        assert heard.counts() == {"added": 1}
        good = (here / "s.tll/store.json").read_bytes()
        (here / "s.tll/store.json").write_bytes(b"{}")
        fill_folder(here / "photos", 1, first=1)
        assert "store.json is damaged" in str(heard.next("failed"))
        assert "store.json is damaged" in str(heard.next("failed"))
        (here / "s.tll/new.json").write_bytes(good)
        (here / "s.tll/new.json").replace(here / "s.tll/store.json")
        while True:
            kind, value = heard._events.get(timeout=SECONDS)
            if kind == "built":
                break
        assert value[0].added == 1


def test_what_is_wrong_from_the_start_is_not_repeated(here: Path) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store="s.tll", recipe=Recipe("tiny2"))
    with pytest.raises(TllError, match="another backbone"):
        watch(["photos"], store="s.tll", recipe=TINY)
    with pytest.raises(TllError, match="does not exist"):
        watch(["nowhere"], store="t.tll", recipe=TINY)
    with pytest.raises(UsageError, match="at least one folder"):
        watch([], store="t.tll", recipe=TINY)
    with pytest.raises(UsageError, match="--poll"):
        watch(["photos"], store="t.tll", poll=0)
    assert not (here / "t.tll").exists()


def test_an_empty_folder_is_waited_for(here: Path) -> None:
    (here / "photos").mkdir()
    with watched("photos", store="s.tll") as heard:
        assert "no pictures" in heard.next("waiting")
        fill_folder(here / "photos", 1)
        assert heard.counts() == {"added": 1}


@pytest.mark.parametrize("poll", [None, 0.1])
def test_a_file_that_is_still_being_copied(here: Path, poll: float | None) -> None:
    fill_folder(here / "photos", 1)
    data = encoded(noise(5, 300, 300), "PNG")
    with watched("photos", store="s.tll", poll=poll) as heard:
        assert heard.counts() == {"added": 1}
        with (here / "photos/late.png").open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            _, fresh = heard.next("built")
            assert [one.reason for one in fresh] == ["damaged"]
            file.write(data[len(data) // 2 :])
        assert heard.counts() == {"added": 1}


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("poll", [None, 0.1])
@pytest.mark.slow_after_first
def test_a_disk_that_goes_and_comes(here: Path, poll: float | None) -> None:
    fill_folder(here / "disk/photos", 2)
    with watched("disk/photos", store=the_store(), poll=poll) as heard:
        assert heard.counts() == {"added": 2}
        (here / "disk").rename(here / "away")
        _, fresh = heard.next("built")
        assert "is its disk mounted?" in fresh[0].message
        assert len(paths_in(the_store())) == 2  # kept
        (here / "away").rename(here / "disk")
        fill_folder(here / "disk/photos", 1, first=7)
        assert heard.counts() == {"added": 1}


# -- processes ---------------------------------------------------------------


class Watching:
    """The command in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.decode())

    def line(self) -> str:
        return self.lines.get(timeout=SECONDS)

    def end(self, number: int) -> str:
        """Standard error, after it was ended so."""
        self.process.send_signal(number)
        assert self.process.wait(SECONDS) in (-number, 128 + number)
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


@pytest.mark.slow
def test_ends_when_told_and_goes_on_after_a_kill(
    here: Path, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    fill_folder(here / "photos", 2)
    arguments = ("watch", "photos", "--backbone", "tiny", "--store", "s.tll")
    running = Watching(spawn(*arguments))
    assert running.line()[8:] == " added 2\n"
    fill_folder(here / "photos", 1, first=2)
    assert running.line()[8:] == " added 1\n"
    running.end(signal.SIGKILL)
    fill_folder(here / "photos", 2, first=3)  # while nobody watches
    (here / "photos/picture0000.png").unlink()
    running = Watching(spawn("watch", "--json", "--store", "s.tll"))
    found = json.loads(running.line())
    assert found.pop("time") and found == {
        "event": "in step", "added": 2, "updated": 0, "moved": 0, "removed": 1, "skipped": []
    }  # fmt: skip
    (here / "photos/bad.png").write_bytes(b"no picture")
    assert json.loads(running.line())["skipped"] == [
        {"path": str(here / "photos/bad.png"), "reason": "not a picture"}
    ]
    assert "Traceback" not in running.end(signal.SIGTERM)
    assert len(paths_in("s.tll")) == 4


@pytest.mark.slow
def test_where_the_system_cannot_listen(here: Path) -> None:
    """In a user namespace that may have no inotify instance."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    fill_folder(here / "photos", 1)
    code = f"""
import sys
sys.path.insert(0, {str(Path(tiny.__file__).parent)!r})
import tiny
tiny.install()
from tll_index.indexer.ingest import watch as watching
watching.POLL = 0.2
from tll_index.cli import main
main()
"""
    command = [sys.executable, "-c", code, "watch", "photos", "--store", "s.tll", "--backbone"]
    limit = 'echo 0 > /proc/sys/user/max_inotify_instances || exit 77; exec "$@"'
    process = subprocess.Popen(
        ["unshare", "-Ur", "sh", "-c", limit, "sh", *command, "tiny"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running = Watching(process)
    try:
        assert running.line()[8:] == " added 1\n"
    except queue.Empty:
        if process.poll() in (1, 77):
            pytest.skip("no user namespaces here")
        raise
    fill_folder(here / "photos", 1, first=1)
    assert running.line()[8:] == " added 1\n"
    said = running.end(signal.SIGTERM)
    assert "inotify instance limit reached: looking at everything every 0.2 s instead" in said


def test_without_watchdog(here: Path) -> None:
    fill_folder(here / "photos", 1)
    code = """
import sys
sys.modules["watchdog"] = None
from tll_index.cli import main
main()
"""
    command = [sys.executable, "-c", code, "watch", "photos", "--store", "s.tll"]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "pip install 'tll-index[watch]'" in failed.stderr
    assert not (here / "s.tll").exists()

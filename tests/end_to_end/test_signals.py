"""How the process ends: signals once and twice, output that nobody takes, and what is left then."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from pictures import encoded, fill_folder, noise
from tll_index import Recipe, Store, build
from tll_index.core import signals

Process = "subprocess.Popen[bytes]"

ENTRY = f"""
import sys
sys.path.insert(0, {str(Path(tiny.__file__).parent)!r})
from tll_index.core.signals import heed_early
import tiny
tiny.install()
from tll_index.__main__ import main
main()
"""
"""The command line as it is installed, with the tiny backbone."""

STOPPED = b"stopped; run the same command again to go on\n"


def started(
    *arguments: object, code: str | None = ENTRY, deaf: tuple[int, ...] = (), **options: object
) -> subprocess.Popen[bytes]:
    """The command line, or Python code, in a process that ignores the signals in `deaf`."""

    def hear() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in deaf else signal.SIG_DFL)

    command = ["-m", "tll_index"] if code is None else ["-c", code]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, *command, *map(str, arguments)], preexec_fn=hear, **options
    )


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command in which `$T` is the command line without, `$TINY` with the tiny
    backbone."""
    (Path.cwd() / "entry.py").write_text(ENTRY)
    python = shlex.quote(sys.executable)
    functions = f'plain() {{ {python} -m tll_index "$@"; }}; tiny() {{ {python} entry.py "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", functions + command],
        env={**os.environ, "T": "plain", "TINY": "tiny"},
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # which nohup ignores
    )


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Of any of its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- signals -----------------------------------------------------------------


@pytest.mark.slow
def test_signals_end_a_build_in_order(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, and Ctrl-C twice: four builds at the same time."""
    fill_folder(here / "photos", 400)
    ends = {
        "INT": (signal.SIGINT,),
        "TERM": (signal.SIGTERM,),
        "HUP": (signal.SIGHUP, signal.SIGHUP),  # from the system and from the shell: that is once
        "twice": (signal.SIGINT, signal.SIGINT),
    }
    builds: dict[str, subprocess.Popen[bytes]] = {}
    for name in ends:
        tiny.watch(monkeypatch, here / f"{name}.log", seconds=0.1)
        arguments = ("photos", "--backbone", "tiny", "--store", name, "--batch-size", "4")
        builds[name] = started("build", *arguments, "--workers", 1)
    for name, numbers in ends.items():
        process, log = builds[name], here / f"{name}.log"
        wait_for(lambda log=log: log.exists() and log.read_text().count("\n") > 2)
        children = children_of(process)
        assert children
        for number in numbers:
            process.send_signal(number)
        out, err = process.communicate(timeout=500)
        # By the signal, which a shell says as 128 + number. A second one that comes before the
        # first was heard ends the process at once, with that very number.
        at_once = {128 + signal.SIGINT} if name == "twice" else set()
        assert process.returncode in {-numbers[0], *at_once}, err
        assert b"Traceback" not in err
        with Store.open(name) as store:
            kept = len(store)
        assert 8 <= kept < 400
        if name != "twice":
            assert err.endswith(STOPPED) and err.count(STOPPED) == 1
            assert out.startswith(f"{kept} added, ".encode())
        wait_for(lambda children=children: not any(map(is_alive, children)))
    monkeypatch.delenv("TINY_SECONDS")
    for name in ("INT", "twice"):
        report = build(["photos"], store=name, recipe=Recipe("tiny"))
        assert report.added + report.unchanged == 400 and report.unchanged >= 8


def test_what_was_ignored_at_the_start_stays_ignored(here: Path) -> None:
    """`nohup`, and a job that a script puts into the background."""
    code = (
        "import os, signal, time\n"
        "from tll_index.core import signals\n"
        "signals.heed_early()\n"
        "with signals.heeded():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0)\n"
        "    print('alive', signals.came(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
    )
    process = started(code=code, deaf=(signal.SIGHUP, signal.SIGINT))
    out, err = process.communicate(timeout=500)
    assert out == b"alive 0\n" and b"KeyboardInterrupt" in err  # which SIGTERM became


def test_a_shell_sees_which_signal_it_was(here: Path) -> None:
    """And breaks off its loop after Ctrl-C, which it only does if its child died of it."""
    for name, status in (("INT", 130), ("TERM", 143), ("HUP", 129)):
        code = (
            "import os, signal, sys\n"
            "from tll_index import cli, __main__\n"
            f"cli._run = lambda _: os.kill(os.getpid(), signal.SIG{name}) or signal.pause()\n"
            "__main__.main()\n"
        )
        (here / "stopped.py").write_text(code)
        ended = shell(f"{shlex.quote(sys.executable)} stopped.py; echo $?")
        assert ended.stdout == f"{status}\n".encode()
        assert ended.stderr.startswith(b"tll-index: stopped\n"), ended.stderr


def test_an_early_interrupt_is_quiet() -> None:
    code = (
        "import os, signal\n"
        "from tll_index.core import signals\n"
        "signals.heed_early()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    process = started(code=code)
    assert process.communicate(timeout=500) == (b"", b"") and process.returncode == -signal.SIGINT
    assert b"Usage: " in started("--help", code=None).communicate(timeout=500)[0]


def test_a_second_signal_reaches_a_process_that_is_inside_a_library() -> None:
    code = (
        "import hashlib\n"
        "from tll_index.core import signals\n"
        "with signals.heeded():\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 1 << 30)\n"  # minutes, and Python is not asked
    )
    process = started(code=code)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)  # the first has to wait for the library
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=500)
    assert process.returncode in (130, -signal.SIGINT) and err == b""


def test_a_signal_waits_for_what_must_be_whole() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), signals.heeded():
        with signals.whole():
            with signals.whole():
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]
    assert signals.status(130) == 143 and signals.status(0) == 0 and signals.status(1) == 1
    with signals.heeded(), signals.whole():
        pass
    assert not signals.came()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # as it was before


def test_an_error_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(ZeroDivisionError), signals.heeded(), signals.whole():
        signal.raise_signal(signal.SIGINT)
        _ = 1 / 0
    with signals.whole():  # and is not raised long after
        pass


def test_without_a_command_line_only_interrupts_wait() -> None:
    """As in a notebook, where SIGINT is Python's own."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        with signals.whole():
            with signals.whole():
                signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("after")
    assert done == ["inner"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ZeroDivisionError), signals.whole():
        signal.raise_signal(signal.SIGINT)
        _ = 1 / 0
    with signals.whole():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


# -- output ------------------------------------------------------------------


@pytest.fixture
def photos(here: Path) -> Path:
    fill_folder(here / "photos", 8)
    report = build(["photos"], store=".tll-index", recipe=Recipe("tiny"))
    assert report.added == 8, report
    return here / "photos"


@pytest.mark.slow
def test_a_full_disk_for_the_output(photos: Path, here: Path) -> None:
    full = b"tll-index: standard output can't be written: No space left on device\n"
    for command in ("info", "backbones", "--help"):
        ended = shell(f"$T {command} >/dev/full")
        assert (ended.returncode, ended.stderr) == (1, full), command
    noise(50).save(photos / "new.png")
    (here / "pairs/left").mkdir(parents=True)
    (here / "pairs/right").mkdir()
    for seed in range(6):
        for side in ("left", "right"):
            (here / f"pairs/{side}/{seed}.png").write_bytes(encoded(noise(seed), "PNG"))
    ended = shell(
        "$TINY build >/dev/full 2>build & first=$!\n"
        "$TINY eval pairs --backbone tiny --split all --lens none >/dev/full 2>eval & second=$!\n"
        "$TINY query photos/picture0000.png >/dev/full 2>query; echo $?\n"
        "wait $first; echo $?; wait $second; echo $?"
    )
    assert ended.stdout == b"1\n1\n1\n"
    for name in ("build", "eval", "query"):
        assert (here / name).read_bytes().endswith(full), name
        assert b"Traceback" not in (here / name).read_bytes()
    with Store.open() as store:  # what was committed is committed
        assert len(store) == 9


@pytest.mark.slow
def test_closed_streams(photos: Path, here: Path) -> None:
    for command in ("info", "--version"):
        ended = shell(f"$T {command} >&-")
        assert ended.returncode == 1
        assert ended.stderr == b"tll-index: standard output is closed\n", command
    assert shell("$T info 2>&-").returncode == 0
    assert shell("$T info <&-").returncode == 0
    assert shell("$T info --store nowhere >&- 2>&- <&-").returncode == 1
    assert shell("$T nonsense 2>/dev/full").returncode == 2
    assert shell("$T info --store nowhere 2>/dev/full").returncode == 1


def test_no_file_takes_the_place_of_a_closed_stream(here: Path) -> None:
    """The catalog as descriptor 1 would get whatever a library prints."""
    code = (
        "import os\n"
        "from tll_index.core import streams\n"
        "streams.prepare()\n"
        "file = os.open('file', os.O_RDWR | os.O_CREAT)\n"
        "os.write(1, b'printed'); os.write(2, b'grumbled')\n"
        "os.write(file, b'%d' % file)\n"
    )
    for closed in (">&- 2>&- <&-", "<&-", ">&-", "2>&-"):
        assert shell(f'{shlex.quote(sys.executable)} -c "{code}" {closed}').returncode == 0
        assert int((here / "file").read_text()) > 2


def test_a_reader_that_had_enough(photos: Path) -> None:
    for command in ("backbones --json", "--help"):
        ended = shell(f"$T {command} | true; echo ${{PIPESTATUS[0]}}")
        assert (ended.stdout, ended.stderr) == (b"0\n", b""), command


def test_a_pipe_that_nobody_reads() -> None:
    """The process waits, as any does; it ends by a signal, or when the reader goes away."""
    for number in (signal.SIGTERM, None):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        process = started("train", "--help", code=None, stdout=writing)
        os.close(writing)
        wait_for(lambda reading=reading: _waiting_in(reading) >= 4096)
        assert process.poll() is None
        if number is not None:
            process.send_signal(number)
            _, err = process.communicate(timeout=500)
            assert (process.returncode, err) == (-number, b"tll-index: stopped\n")
            os.close(reading)
        else:
            os.close(reading)
            _, err = process.communicate(timeout=500)
            assert (process.returncode, err) == (0, b"")


def _waiting_in(descriptor: int) -> int:
    count = array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]

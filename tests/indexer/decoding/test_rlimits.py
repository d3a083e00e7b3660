"""What a decoder process may use: memory and time by the size of its picture; no core dumps."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")


def limited(code: str, pixels: int = 1_000_000, seconds: int = 8) -> subprocess.CompletedProcess:
    """Run code in a process that has made itself limited."""
    begin = (
        "from tll_index.engine.images.decode import Limits\n"
        "from tll_index.indexer.decoding.rlimits import ResourceLimits\n"
        f"limits = ResourceLimits(Limits(max_pixels={pixels}), {seconds})\n"
    )
    return subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True)


@linux
@pytest.mark.slow
def test_memory_is_that_of_the_picture() -> None:
    ended = limited(
        "def may(size):\n"
        "    try: return bool(bytearray(size))\n"
        "    except MemoryError: return False\n"
        "limits.begin(0)\n"
        "print(may(600 << 20), may(4 << 30))\n"  # its size isn't known: as for the largest
        "limits.sized(10, 10)\n"
        "print(may(300 << 20), may(600 << 20))\n"
        "print(limits.end())\n"
        "limits.begin(200 << 20)\n"
        "limits.sized(10, 10)\n"
        "print(may(600 << 20))\n"  # copies of the file have room
        "kept = bytearray(200 << 20); print(limits.end())",
        pixels=20_000_000,
    )
    assert ended.stdout.splitlines() == ["True False", "True False", "True", "True", "False"], ended


@pytest.mark.slow
def test_time_is_computing_not_waiting() -> None:
    """A second for the smallest picture, more for larger ones; a busy machine costs nothing."""
    code = (
        "import time\n"
        "limits.begin(0); time.sleep(1.1); print('slept', flush=True)\n"
        "limits.sized(1000, 500); began = time.process_time()\n"
        "while time.process_time() < began + 1.2: pass\n"
        "print('large', flush=True)\n"
        "limits.end(); limits.begin(0)\n"
        "while True: pass"
    )
    ended = limited(code, seconds=2)
    assert ended.stdout.split() == ["slept", "large"]
    assert ended.returncode == -signal.SIGPROF


def test_it_leaves_no_core_and_is_the_first_to_go() -> None:
    ended = limited(
        "import resource\n"
        "print(*resource.getrlimit(resource.RLIMIT_CORE))\n"
        "try: print(open('/proc/self/oom_score_adj').read())\n"
        "except OSError: print(1000)"
    )
    assert ended.stdout.split() == ["0", "0", "1000"]


def test_limits_that_were_there_stay() -> None:
    import resource

    soft = 1 << 30
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource\n"
            "from tll_index.engine.images.decode import Limits\n"
            "from tll_index.indexer.decoding.rlimits import ResourceLimits\n"
            "ResourceLimits(Limits(), 9).begin(0)\n"
            "print(resource.getrlimit(resource.RLIMIT_DATA)[0])",
        ],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_DATA, (soft, resource.getrlimit(resource.RLIMIT_DATA)[1])
        ),
    )
    assert ended.stdout.split() == [str(soft)], ended.stderr


@linux
def test_garbage_is_no_growth() -> None:
    """What only the garbage collector finds is not held against a process."""
    ended = limited(
        "import gc\n"
        "gc.disable()\n"
        "limits.begin(0)\n"
        "circle = [bytearray(250 << 20)]; circle.append(circle); del circle\n"
        "print(limits.end())",
    )
    assert ended.stdout == "True\n", ended

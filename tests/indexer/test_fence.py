"""What a decoder process may use: memory and time by the size of its picture; no core dumps."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")


def in_a_fence(code: str, pixels: int = 1_000_000, seconds: int = 8) -> subprocess.CompletedProcess:
    """Run code in a process that has made itself a `resources`."""
    begin = (
        "from tll_index.engine.images.decode import Limits\n"
        "from tll_index.indexer.decoding.rlimits import Fence\n"
        f"fence = Fence(Limits(max_pixels={pixels}), {seconds})\n"
    )
    return subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True)


@linux
def test_memory_is_that_of_the_picture() -> None:
    ended = in_a_fence(
        "def may(size):\n"
        "    try: return bool(bytearray(size))\n"
        "    except MemoryError: return False\n"
        "fence.begin(0)\n"
        "print(may(600 << 20), may(4 << 30))\n"  # its size isn't known: as for the largest
        "fence.sized(10, 10)\n"
        "print(may(300 << 20), may(600 << 20))\n"
        "print(fence.end())\n"
        "fence.begin(200 << 20)\n"
        "fence.sized(10, 10)\n"
        "print(may(600 << 20))\n"  # copies of the file have room
        "kept = bytearray(200 << 20); print(fence.end())",
        pixels=20_000_000,
    )
    assert ended.stdout.splitlines() == ["True False", "True False", "True", "True", "False"], ended


def test_time_is_computing_not_waiting() -> None:
    """A second for the smallest picture, more for larger ones; a busy machine costs nothing."""
    code = (
        "import time\n"
        "fence.begin(0); time.sleep(1.1); print('slept', flush=True)\n"
        "fence.sized(1000, 500); began = time.process_time()\n"
        "while time.process_time() < began + 1.2: pass\n"
        "print('large', flush=True)\n"
        "fence.end(); fence.begin(0)\n"
        "while True: pass"
    )
    ended = in_a_fence(code, seconds=2)
    assert ended.stdout.split() == ["slept", "large"]
    assert ended.returncode == -signal.SIGPROF


def test_it_leaves_no_core_and_is_the_first_to_go() -> None:
    ended = in_a_fence(
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
            "from tll_index.indexer.decoding.rlimits import Fence\n"
            "Fence(Limits(), 9).begin(0)\n"
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
    ended = in_a_fence(
        "import gc\n"
        "gc.disable()\n"
        "fence.begin(0)\n"
        "circle = [bytearray(250 << 20)]; circle.append(circle); del circle\n"
        "print(fence.end())",
    )
    assert ended.stdout == "True\n", ended

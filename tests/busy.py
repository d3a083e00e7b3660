"""Runs a command beside busy loops: `python tests/busy.py [--loops 8] [--times 3] COMMAND...`.

Each loop takes a whole core: what waits for a guess of seconds fails here. The loops end
with the command, however it ends; the status is that of the first run that fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, default=8, help="busy processes beside the command")
    parser.add_argument("--times", type=int, default=3, help="runs of the command")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if not arguments.command:
        parser.error("no command is given")
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.loops)
    ]
    try:
        for number in range(1, arguments.times + 1):
            begun = time.monotonic()
            status = subprocess.call(arguments.command)
            minutes = (time.monotonic() - begun) / 60
            print(
                f"run {number} of {arguments.times} beside {arguments.loops} busy loops: "
                f"{'passed' if status == 0 else f'FAILED with {status}'} in {minutes:.1f} minutes",
                flush=True,
            )
            if status:
                return status
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Rows about builds of very many pictures: memory, and how soon nothing is done.

The pictures are tiny drawn ones and the network a few filters (see small.py), since a real one
would take an hour; all else of a build is as ever.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from . import small
from .apart import run_watched
from .clock import seconds
from .commands import run, tool
from .findings import Finding, NotMeasurableError
from .laboratory import Laboratory
from .memory import Peaks
from .pictures import draw_tiny

GROWTH, NOTHING = 0.10, 2.0


@dataclass
class Crowd:
    """A folder of tiny pictures, and its store."""

    laboratory: Laboratory
    folder: Path
    store: Path
    built: dict[int, Peaks] = field(default_factory=dict)
    """What a build of so many took."""
    seconds: dict[int, float] = field(default_factory=dict)
    count: int = 0

    def grow(self, count: int) -> None:
        """Draw pictures up to `count`, and build a new store of them all."""
        self.laboratory.progress.note(f"drawing and building {count:,} tiny pictures")
        draw_tiny(self.folder, self.count, count)
        self.count = count
        store = self.store.with_name(f"{self.store.name}-{count}")
        build = self.command("build", self.folder, "--store", store, "--backbone", small.SPEC.name)
        self.seconds[count] = seconds(lambda: self._watch(build, count))
        self.store = store

    def again(self) -> float:
        """Seconds of a build with nothing to do."""
        build = [*tool(), "build", str(self.folder), "--store", str(self.store)]
        return seconds(lambda: run(build))

    def command(self, *words: object) -> list[str]:
        """The command line with the small backbone."""
        return [sys.executable, "-m", small.__name__, *map(str, words)]

    def _watch(self, command: list[str], count: int) -> None:
        home = self.laboratory.scratch / "home"
        environment = {**os.environ, "TLL_HOME": str(home), "TLL_RUNTIME": "onnx"}
        for name in ("TLL_CACHE_DIR", "TLL_WEIGHTS_DIR", "TLL_STORE"):
            environment.pop(name, None)
        small.write_weights(home / "weights")
        self.built[count] = run_watched(command, env=environment)


def crowd(laboratory: Laboratory) -> Crowd:
    """The crowd of this run, of both sizes; a few first, with which the network is exported.

    Raises:
        NotMeasurableError: this is no Linux.
    """
    known: dict[str, Any] = laboratory.shared
    if "crowd" not in known:
        if not Path("/proc/self/status").is_file():
            raise NotMeasurableError("memory is read in Linux's /proc")
        made = Crowd(laboratory, laboratory.scratch / "tiny", laboratory.scratch / "tiny-store")
        for count in (10, *laboratory.sizes.tiny_pictures):
            made.grow(count)
        known["crowd"] = made
    found: Crowd = known["crowd"]
    return found


def memory(laboratory: Laboratory) -> Finding:
    """The most that the builds of few and of many pictures held."""
    few, many = laboratory.sizes.tiny_pictures
    found = crowd(laboratory)
    peaks = {count: found.built[count] for count in (few, many)}
    more = peaks[many].resident / peaks[few].resident - 1
    return Finding(
        more,
        more <= GROWTH,
        {
            **{f"peaks_bytes_{count}": asdict(one) for count, one in peaks.items()},
            "own_memory_more": peaks[many].anonymous / peaks[few].anonymous - 1,
            "bytes_more_per_picture": (peaks[many].resident - peaks[few].resident) / (many - few),
            "pictures_per_second": many / found.seconds[many],
        },
        f"{few:,} and {many:,} drawn pictures of 16 x 16 pixels through a small network, "
        "vectors of 128 values, the bundled network held beside; ONNX Runtime; peak resident "
        "memory of the process (VmHWM), its children apart; pages of files that it maps count, "
        "own_memory_more is without them",
    )


def nothing_to_do(laboratory: Laboratory) -> Finding:
    """A second build over the same files."""
    found = crowd(laboratory)
    needed = median(found.again() for _ in range(3))
    return Finding(
        needed,
        needed <= NOTHING,
        conditions=f"`tll-index build` on {found.count:,} files and the store of row memory, from "
        "the shell's view, names in the system's cache, median of 3",
    )

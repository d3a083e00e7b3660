"""Malformed pictures, thousands of them, through real decoder processes: none may crash the build,
hang it or take the machine's memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tll_index.core.errors import DecoderFailedError, PictureError
from tll_index.engine.images.decode import PILLOW_FORMATS, Geometry, Limits
from tll_index.indexer.decoding.decoder_process import Decoder

from .bombs import bombs
from .mutations import Hostile, mutated

COUNT = 20_000
SECONDS = 30.0
"""For the largest picture; see `TLL_DECODE_SECONDS`."""

_LONG = 5.0
_LARGE = 8.0
"""Seconds that no picture may take that claims fewer megapixels."""
_DECODERS = 2
_FEATURES = Geometry(224, "squash")


@dataclass
class _Tally:
    """What became of the files so far; shared by threads that hold `lock`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    tried: Counter[str] = field(default_factory=Counter)
    """By kind of malice, as the others."""
    decoded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """By reason."""
    replaced: Counter[str] = field(default_factory=Counter)
    given_up: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    slow: list[tuple[float, str]] = field(default_factory=list)
    peak: int = 0


def hostile(count: int, seed: int, spare: Sequence[str] = ()) -> Iterator[Hostile]:
    """Bombs and mutations, `count` together, the bombs spread among the others."""
    made = list(bombs(spare))[:count]
    every = max(1, count // max(1, len(made)))
    for number, one in enumerate(mutated(count - len(made), seed)):
        if made and number % every == 0:
            yield made.pop(0)
        yield one
    yield from made


def run(
    seconds: float, count: int, seed: int, scratch: Path, spare: Sequence[str] = ()
) -> dict[str, Any]:
    """Feed `count` malformed pictures to two decoders, for at most `seconds`.

    Args:
        scratch: not needed; nothing is written.
        spare: kinds of bombs that are left out.

    Returns:
        Figures as JSON values: all must be decoded or refused, with no crash of this process, and
        nothing slow but what is honestly large.
    """
    tally, files = _Tally(), hostile(count, seed, spare)
    until = time.monotonic() + seconds
    decoders = [Decoder(_FEATURES, Limits(), SECONDS) for _ in range(_DECODERS)]
    threads = [
        threading.Thread(target=_feed, args=(decoder, files, tally, until)) for decoder in decoders
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        tally.peak = max(tally.peak, *(_peak_bytes(decoder.pid) for decoder in decoders))
        threads[0].join(0.02)
        threads[1].join(0.02)
    for decoder in decoders:
        decoder.stop()
    return _figures(tally, time.monotonic() - started)


def _feed(decoder: Decoder, files: Iterator[Hostile], tally: _Tally, until: float) -> None:
    decoder.start()
    while time.monotonic() < until:
        with tally.lock:
            file = next(files, None)
        if file is None:
            return
        refused = given_up = crash = ""
        before, began = decoder.started + (decoder.pid is None), time.monotonic()
        try:
            decoder.decode(file.data)
        except PictureError as error:
            refused = error.reason
            if isinstance(error, DecoderFailedError):
                given_up = f"{file.kind}, {file.name}: {error}"
        except Exception as error:  # which is what must not be
            crash = f"{file.kind}, {file.name}: {error!r}"
        took = time.monotonic() - began
        claims = _megapixels(file.data) if took > 1 else 0.0
        with tally.lock:
            tally.tried[file.kind] += 1
            tally.decoded[file.kind] += not refused and not crash
            tally.replaced[file.kind] += decoder.started + (decoder.pid is None) - before
            about = f"{file.kind}, {file.name} ({claims:.0f} MP): {took:.1f} s"
            tally.slow = sorted([*tally.slow, (took, about)])[-10:]
            if refused:
                tally.refused[refused] += 1
                tally.given_up += [given_up] if given_up else []
            if took > _LONG and claims < _LARGE:
                tally.hangs.append(about)
            if crash:
                tally.crashes.append(crash)


_CLAIMS = f"""
import resource, sys, warnings
from PIL import Image
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
warnings.simplefilter("ignore")
with Image.open(sys.stdin.buffer, formats={PILLOW_FORMATS!r}) as image:
    print(image.width * image.height / 1e6)
"""


def _megapixels(data: bytes) -> float:
    """What a picture's header claims; 0 where it can't be read. Read in a process of its own,
    within
    2 GB: with Pillow 12, headers that name the same values many times took all memory there was."""
    command = [sys.executable, "-c", _CLAIMS]
    try:
        said = subprocess.run(command, input=data, capture_output=True, timeout=60).stdout
    except subprocess.TimeoutExpired:
        return 0.0
    return float(said or 0)


def _peak_bytes(pid: int | None) -> int:
    """The most memory that a process had so far, where Linux says it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


def _figures(tally: _Tally, seconds: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "tried": tally.tried.total(),
        "decoded": tally.decoded.total(),
        "refused": dict(sorted(tally.refused.items())),
        "crashes_of_the_parent": tally.crashes,
        "hangs": tally.hangs,
        "decoders_replaced": tally.replaced.total(),
        "given_up": sorted(tally.given_up),
        "slowest_seconds": round(tally.slow[-1][0], 2) if tally.slow else 0.0,
        "slowest": [about for _, about in reversed(tally.slow)],
        "peak_rss_bytes": tally.peak,
        "by_kind": {
            kind: {
                "tried": tally.tried[kind],
                "decoded": tally.decoded[kind],
                "decoders_replaced": tally.replaced[kind],
            }
            for kind in sorted(tally.tried)
        },
    }

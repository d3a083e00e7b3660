"""The load test: 50 clients ask `tll-index serve` at once, beside as many threads in Python.

`python -m benchmarks.serving [--quick]`: indexes pictures of Totally-Looks-Like, serves them, and
takes turns between asking over HTTP and through the Python API, each from a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tll_index import Store, build
from tll_index.rendering.progress import Bars

from .machine import RESULTS, machine, require_tll
from .written import write

ROUNDS = 3
SERVE = ("-m", "tll_index", "serve")
CROWD = ("-m", "benchmarks.crowd")
"""What Python is told to run."""
KINDS = {
    "id": "a question with an indexed picture",
    "upload": "a question with a new picture: sent, decoded, embedded, asked",
    "thumbnail": "a thumbnail that was made before",
}


def main() -> None:
    """Measure, print, write results/serving.json."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.serving")
    parser.add_argument("--quick", action="store_true", help="fewer pictures and questions")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--out", type=Path, default=RESULTS / "serving.json")
    chosen = parser.parse_args()
    data = require_tll()
    indexed = sorted((data / "train/right").iterdir())[: 200 if chosen.quick else None]
    new = sorted((data / "train/left").iterdir())[: 100 if chosen.quick else 400]
    with tempfile.TemporaryDirectory(prefix="tll-serving-") as scratch:
        store = _store(Path(scratch), indexed)
        found = measured(store, new, chosen.clients, 500 if chosen.quick else 3000)
    found = {"machine": machine(("fastapi", "uvicorn")), "pictures": len(indexed), **found}
    write(found, chosen.out)
    print(table(found))
    print(f"wrote {chosen.out}")


def measured(store: Path, new: list[Path], clients: int, questions: int) -> dict[str, Any]:
    """All rows. `new`: pictures that the store does not hold."""
    with Store.open(store) as opened:
        ids = [_digest(path) for path in opened.sample(questions)]
    ids = (ids * (1 + questions // len(ids)))[:questions]
    asked = {"id": ids, "upload": list(map(str, new)), "thumbnail": ids}
    rows: dict[str, list[dict[str, Any]]] = {}
    with served(store) as where:
        for kind, what in asked.items():
            common = {"kind": kind, "what": what, "clients": clients}
            ways = {"http": where}
            if kind != "thumbnail":
                ways["python"] = {"store": str(store)}
            crowd({**common, **where})  # warm: caches filled, decoders started
            for _ in range(ROUNDS):
                for way, how in ways.items():
                    rows.setdefault(f"{kind} {way}", []).append(crowd({**common, **how}))
    return {
        "clients": clients,
        "rounds": ROUNDS,
        "rows": {name: _summary(rounds) for name, rounds in rows.items()},
    }


def table(found: dict[str, Any]) -> str:
    """The rows for people."""
    lines = [f"{'':<18} {'a second':>9} {'p50 ms':>8} {'p95 ms':>8}   {found['clients']} at once"]
    for name, row in found["rows"].items():
        lines.append(
            f"{name:<18} {row['a_second']:>9,.0f} {row['p50_ms']:>8,.1f} {row['p95_ms']:>8,.1f}"
            f"   {KINDS[name.split()[0]]}"
        )
    return "\n".join(lines)


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Throughput is the median of the rounds, times are of all their answers."""
    speeds = [len(one["seconds"]) / one["whole"] for one in rounds]
    seconds = sorted(second for one in rounds for second in one["seconds"])
    cut = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "a_second": round(statistics.median(speeds), 1),
        "a_second_each_round": [round(speed, 1) for speed in speeds],
        "p50_ms": round(cut[49] * 1000, 2),
        "p95_ms": round(cut[94] * 1000, 2),
        "slowest_ms": round(seconds[-1] * 1000, 2),
        "answers": len(seconds),
    }


def crowd(told: dict[str, Any]) -> dict[str, Any]:
    """What the process of that crowd measured; ends the program where an answer failed."""
    command = [sys.executable, *CROWD]
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the crowd failed: {done.stderr.strip() or done.stdout.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def served(store: Path) -> Iterator[dict[str, Any]]:
    """Host and port of a server of its own process."""
    command = [sys.executable, *SERVE, "--port", "0", "--quiet", "--store", str(store)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = urlsplit(server.stdout.readline().strip())
        if url.port is None:
            sys.exit("the server did not start")
        yield {"host": url.hostname, "port": url.port}
    finally:
        server.terminate()
        server.communicate()


def _store(scratch: Path, pictures: list[Path]) -> Path:
    folder = scratch / "pictures"
    folder.mkdir()
    for path in pictures:
        shutil.copy(path, folder)
    with Bars() as progress:
        build([folder], store=scratch / "store", progress=progress)
    return scratch / "store"


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

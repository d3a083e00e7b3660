"""The load test: 50 clients of `tll-index serve` at once, beside as many threads in Python.

`python -m benchmarks.scale.serving [--quick]` indexes pictures of Totally-Looks-Like, serves them,
and takes turns between searching over HTTP and through the Python API, each from a process of its
own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tll_index import Store, build
from tll_index.rendering.progress import Bars

from .. import harness

ROUNDS = 3
SERVE = ("-m", "tll_index", "serve")
CLIENTS = ("-c", "from benchmarks.scale.serving import clients; clients()")
"""What Python is told to run."""
KINDS = {
    "id": "a question with an indexed picture",
    "upload": "a question with a new picture: sent, decoded, embedded, asked",
    "thumbnail": "a thumbnail that was made before",
}


def main() -> None:
    """Measure, print, write serving.json."""
    parser = harness.parser(
        __doc__,
        out=harness.OUT / "serving.json",
        quick="fewer pictures and questions",
        prog="python -m benchmarks.scale.serving",
    )
    parser.add_argument("--clients", type=int, default=50)
    chosen = parser.parse_args()
    data = harness.require_tll()
    indexed = sorted((data / "train/right").iterdir())[: 200 if chosen.quick else None]
    new = sorted((data / "train/left").iterdir())[: 100 if chosen.quick else 400]
    with tempfile.TemporaryDirectory(prefix="tll-serving-") as scratch:
        store = _store(Path(scratch), indexed)
        found = measured(store, new, chosen.clients, 500 if chosen.quick else 3000)
    found = {"machine": harness.machine(("fastapi", "uvicorn")), "pictures": len(indexed), **found}
    harness.finish(table(found), harness.write_json(found, chosen.out))


def measured(store: Path, new: list[Path], clients: int, questions: int) -> dict[str, Any]:
    """All rows. `new`: pictures that the store does not hold."""
    with Store.open(store) as opened:
        ids = [_digest(path) for path in opened.sample(questions)]
    ids = (ids * (1 + questions // len(ids)))[:questions]
    queries = {"id": ids, "upload": list(map(str, new)), "thumbnail": ids}
    rows: dict[str, list[dict[str, Any]]] = {}
    with served(store) as where:
        for kind, what in queries.items():
            common = {"kind": kind, "what": what, "clients": clients}
            ways = {"http": where}
            if kind != "thumbnail":
                ways["python"] = {"store": str(store)}
            run_clients({**common, **where})  # warm: caches filled, decoders started
            for _ in range(ROUNDS):
                for way, how in ways.items():
                    rows.setdefault(f"{kind} {way}", []).append(run_clients({**common, **how}))
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


def run_clients(told: dict[str, Any]) -> dict[str, Any]:
    """What the process of these clients measured; ends the program where an answer failed."""
    command = [sys.executable, *CLIENTS]
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the clients failed: {done.stderr.strip() or done.stdout.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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


# -- the clients, in a process of their own -------------------------------------------------------

LIMIT = 30
"""Hits an answer: a page."""


def clients() -> None:
    """Be those clients that standard input describes, as JSON; prints the seconds that each result
    took."""
    told = json.load(sys.stdin)
    run = in_python if "store" in told else over_http
    print(json.dumps(run(told)))


def over_http(told: dict[str, Any]) -> dict[str, Any]:
    """`told`: host, port, clients, kind (see `request`), what (ids, or paths of pictures)."""
    return asyncio.run(_clients(told))


async def _clients(told: dict[str, Any]) -> dict[str, Any]:
    rest = iter([request(told["kind"], what) for what in told["what"]])
    seconds: list[float] = []
    started = time.perf_counter()
    await asyncio.gather(*(_client(told, rest, seconds) for _ in range(told["clients"])))
    return {"seconds": seconds, "whole": time.perf_counter() - started}


async def _client(told: dict[str, Any], rest: Iterator[bytes], seconds: list[float]) -> None:
    """One client, with one connection, on which it asks one after the other. A library's would
    take more of the cores than the server does."""
    reader, writer = await asyncio.open_connection(told["host"], told["port"])
    for one in rest:
        started = time.perf_counter()
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"not answered: {head.decode()}")
        length = next(
            line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        await reader.readexactly(int(length.split(b":")[1]))
        seconds.append(time.perf_counter() - started)
    writer.close()


def request(kind: str, what: str) -> bytes:
    """A request: kind `id` asks with an indexed picture, `upload` with the file at a path,
    `thumbnail` wants a small picture."""
    if kind == "thumbnail":
        return f"GET /api/pictures/{what}/thumbnail HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    if kind == "upload":
        body, media = Path(what).read_bytes(), "application/octet-stream"
    else:
        body, media = json.dumps({"like": [{"id": what}]}).encode(), "application/json"
    return (
        f"POST /api/query{'' if kind == 'id' else f'?limit={LIMIT}'} HTTP/1.1\r\n"
        f"Host: localhost\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def in_python(told: dict[str, Any]) -> dict[str, Any]:
    """`told`: store, clients, kind (`id` or `upload`), what; the network is warm before the clock
    starts."""
    from tll_index import Store

    with Store.open(told["store"]) as store:
        data = [Path(one).read_bytes() for one in told["what"] if told["kind"] == "upload"]
        query: Callable[[Any], object] = (
            (lambda one: store.query(one, LIMIT))
            if data
            else (lambda one: store.query_blend([store.encode_indexed(one)], LIMIT))
        )
        query((data or told["what"])[0])

        def timed(one: Any) -> float:
            started = time.perf_counter()
            query(one)
            return time.perf_counter() - started

        with ThreadPoolExecutor(told["clients"]) as threads:
            started = time.perf_counter()
            seconds = list(threads.map(timed, data or told["what"]))
            return {"seconds": seconds, "whole": time.perf_counter() - started}


if __name__ == "__main__":
    main()

"""Many who ask at once, in a process of their own: over HTTP, or through the Python API.

`python -m benchmarks.crowd` reads JSON from standard input, and prints the seconds that each answer
took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

LIMIT = 30
"""Hits an answer: a page."""


def main() -> None:
    """Be the crowd that standard input describes."""
    told = json.load(sys.stdin)
    asked = in_python if "store" in told else over_http
    print(json.dumps(asked(told)))


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
        ask: Callable[[Any], object] = (
            (lambda one: store.query(one, LIMIT))
            if data
            else (lambda one: store.query_blend([store.encode_indexed(one)], LIMIT))
        )
        ask((data or told["what"])[0])

        def timed(one: Any) -> float:
            started = time.perf_counter()
            ask(one)
            return time.perf_counter() - started

        with ThreadPoolExecutor(told["clients"]) as threads:
            started = time.perf_counter()
            seconds = list(threads.map(timed, data or told["what"]))
            return {"seconds": seconds, "whole": time.perf_counter() - started}


if __name__ == "__main__":
    main()

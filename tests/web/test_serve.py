"""`tll-index serve` as a process: what it prints, how it ends, what it complains about."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pictures import noise

Spawn = Callable[..., "subprocess.Popen[bytes]"]


def address(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert re.fullmatch(r"http://[^ ]+:\d+/(#token=[\w-]+)?\n", line), (line, process.poll())
    return line.strip()


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, timeout=500, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow_after_first
def test_from_start_to_end(photos: list[Path], spawn: Spawn, number: int) -> None:
    process = spawn("serve", "--port", 0)
    url = address(process)
    assert url.startswith("http://127.0.0.1:") and get(f"{url}api/info").json()["pictures"] == 12
    picture = noise(1, 200, 200)
    picture.save("upload.png")
    upload = Path("upload.png").read_bytes()
    kind = {"content-type": "image/png"}
    query = f"{url}api/query"
    shown = httpx.post(query, content=upload, headers=kind, timeout=500, trust_env=False)
    assert shown.status_code == 200
    with httpx.Client(timeout=500, trust_env=False) as idle:  # a connection that is kept open
        idle.get(f"{url}healthz")
        process.send_signal(number)
        _, said = process.communicate(timeout=500)
    assert process.returncode == 128 + number
    assert said.decode().splitlines()[-1] == "tll-index: stopped" and b"Traceback" not in said
    with pytest.raises(httpx.ConnectError):
        get(url)


@pytest.mark.slow
def test_two_signals_end_it_at_once(photos: list[Path], spawn: Spawn) -> None:
    process = spawn("serve", "--port", 0)
    where = httpx.URL(address(process))
    with socket.create_connection((where.host, where.port)) as line:  # an upload that never ends
        line.sendall(
            b"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 9\r\n\r\n"
        )
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):  # it is heard when nobody is let in any more
            while True:
                socket.create_connection((where.host, where.port)).close()
                time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=4)
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.slow
def test_the_token_comes_from_outside(photos: list[Path], spawn: Spawn) -> None:
    Path("token").write_text("the-token-in-the-file\n")
    environment = {**os.environ, "TLL_TOKEN": "the-token-in-the-environment"}
    processes = {
        "the-token-in-the-environment": spawn("serve", "--port", 0, env=environment),
        "the-token-in-the-file": spawn(
            *("serve", "--port", 0, "--token-file", "token"), env=environment
        ),
    }
    for token, process in processes.items():
        url, _, shown = address(process).partition("#token=")
        assert shown == token
        assert get(f"{url}api/info").status_code == 401
        assert get(f"{url}api/info", authorization=f"Bearer {token}").status_code == 200
        process.terminate()
        process.communicate(timeout=500)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--port", "BUSY"), 1, "is taken; choose another with --port"),
        (("--port", "70000"), 2, "--port: 70000 is not a port"),
        (
            ("--host", "192.0.2.1", "--port", "0"),
            2,
            "'192.0.2.1' is not an address of this machine",
        ),
        (("--token-file", "nowhere"), 1, "--token-file: nowhere can't be read"),
        (("--store", "nowhere"), 1, "no store in"),
        (("--max-upload", "0"), 2, "--max-upload"),
    ],
)
def test_complaints(
    photos: list[Path],
    tll_index: Callable[..., Any],
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        result = tll_index("serve", *(port if one == "BUSY" else one for one in arguments))
    assert result.code == code and result.out == ""
    assert says in result.err and "Traceback" not in result.err


def test_a_short_token_in_the_environment(
    photos: list[Path], tll_index: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLL_TOKEN", "short")
    result = tll_index("serve", "--port", "0")
    assert result.code == 2 and "it needs at least 16" in result.err and "short" not in result.err


def test_without_the_extra(photos: list[Path]) -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "sys.argv = ['tll-index', 'serve', '--port', '0']\n"
        "from tll_index.cli import main; main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=500
    )
    assert process.returncode == 1 and process.stdout == ""
    assert process.stderr == ("tll-index: serve needs fastapi: pip install 'tll-index[serve]'\n")

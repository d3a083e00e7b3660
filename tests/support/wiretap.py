"""Runs programs so that all that any of their processes send is seen, and what they leave behind.

Three see at once, since each alone can be evaded:

- a proxy on loopback, which libraries of any language heed, and which hears the name of a host
  that could not be looked up;
- an audit hook in each Python process, which hears names before they are looked up, and who asks;
- `strace`, where there is one: every system call of every process that addresses anything, native
  code included.

`LOUD` is the environment of somebody who agreed to everything: what is quiet there is quiet.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HOOK = """
import os, sys

_log = os.open(os.environ["WIRETAP_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_names = {
    "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo",
}

def _hear(event, arguments):
    if event not in _names or event == "socket.sendmsg" and arguments[1] is None:
        return
    addresses = event in ("socket.connect", "socket.sendto", "socket.sendmsg")
    said = arguments[-1] if addresses else arguments
    if isinstance(said, (str, bytes)) and event == "socket.connect":
        return  # a socket of this machine's file system
    frame, asked = sys._getframe(), []
    while frame is not None and len(asked) < 12:
        asked.append(f"{frame.f_code.co_filename.rpartition('site-packages/')[2]}:{frame.f_lineno}")
        frame = frame.f_back
    os.write(_log, f"{event} {said!r} {' < '.join(asked)}\\n".encode())

sys.addaudithook(_hear)
os.write(_log, f"python {os.getpid()}\\n".encode())
"""
"""sitecustomize.py: a line in the log for each Python process, and for each address it names."""

LOUD = {
    "ORT_DISABLE_TELEMETRY": "0",
    "HF_HUB_DISABLE_TELEMETRY": "0",
    "HF_XET_TELEMETRY_ENABLED": "1",
    "RAY_USAGE_STATS_ENABLED": "1",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid:4318",
}

_HUSHED = re.compile(
    r"TLL_|TINY_|XDG_|HF_|HUGGING|RAY_|ORT_|OTEL_|AWS_|MPL|PYTEST|"
    r"(CI|TF_BUILD|GITHUB_ACTIONS|GITLAB_CI|DO_NOT_TRACK|DISABLE_TELEMETRY|PYTHONPATH)$|"
    r"(?i:https?_proxy|all_proxy|no_proxy)$"
)
"""Variables that would make libraries quiet, as continuous integration does, or tests special."""

_OURS = re.compile(r"127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+|0\.0\.0\.0|::|localhost|")
"""Addresses that never leave the machine; connecting to 0.0.0.0 is connecting to oneself."""

_STRACE = ("-D", "-f", "--seccomp-bpf", "-qq", "-v", "-e", "trace=connect,sendto,sendmsg,sendmmsg")
"""-D: the program itself is our child, and gets our signals. Calls of other kinds are not even
stopped at, so nothing is slow."""

_CALL = re.compile(r"^(\d+) +(connect|sendto|sendmsg|sendmmsg)\((.*)$")
_INET = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)')


@dataclass
class Tapped:
    """A program's life, seen from outside."""

    folder: Path
    """In it: home, the temporary folder and the current one, of this program alone."""
    code: int = 0
    out: str = ""
    err: str = ""
    left: list[str] = field(default_factory=list)
    """Everything that was sent to another machine, or would have been, each as a line."""
    pythons: int = 0
    """Python processes that were heard."""
    traced: int = 0
    """Processes and threads that addressed anything, as strace saw them; 0 without strace."""

    def files(self) -> set[str]:
        """Files below home, the temporary folder and the current one."""
        return {
            str(Path(folder, name).relative_to(self.folder))
            for top in ("home", "tmp", "work")
            for folder, _, names in os.walk(self.folder / top)
            for name in names
        }


@cache
def why_no_strace() -> str:
    """Why system calls can't be seen here; empty where they can."""
    if shutil.which("strace") is None:
        return "no strace here"
    done = subprocess.run(
        ["strace", *_STRACE, "-o", os.devnull, "true"],
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 and not done.stderr else f"strace: {done.stderr.strip()}"


@contextmanager
def tapped(
    command: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], Tapped]]:
    """Start `command` in `folder`/work, at home in `folder`/home; once the block has ended, so
    has the program, and the second value says what was seen."""
    seen = Tapped(folder)
    for name in ("home", "tmp", "work", "tap"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "tap/sitecustomize.py").write_text(HOOK)
    heard = folder / "tap/heard"
    heard.unlink(missing_ok=True)
    calls: list[str] = []
    with _proxy(seen.left) as proxy:
        variables = {
            **{name: value for name, value in os.environ.items() if not _HUSHED.match(name)},
            **{
                spelled: proxy
                for name in ("http_proxy", "https_proxy", "all_proxy")
                for spelled in (name, name.upper())
            },
            "no_proxy": "localhost,127.0.0.1,::1",
            "NO_PROXY": "localhost,127.0.0.1,::1",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(folder / "tap"),
            "WIRETAP_LOG": str(heard),
            **LOUD,
            **(environment or {}),
        }
        tracer = [] if why_no_strace() else _tracer(folder, calls)
        process = subprocess.Popen(
            [*tracer, *command],
            cwd=folder / "work",
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process, seen
        finally:
            with suppress(subprocess.TimeoutExpired):
                seen.out, seen.err = process.communicate(timeout=500)
            if process.poll() is None:
                process.kill()
                process.wait()
            for thread in threading.enumerate():
                if thread.name == "wiretap strace":
                    thread.join(500)
    seen.code = process.returncode
    _by_python(heard, seen)
    _by_system(calls, seen)


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Tapped:
    """Run `command` to its end; see `tapped`."""
    with tapped(command, folder, environment) as (_, seen):
        pass
    return seen


def python(*arguments: object) -> list[str]:
    """The command that runs this Python."""
    return [sys.executable, *map(str, arguments)]


# -- the three that see --------------------------------------------------------


@contextmanager
def _proxy(left: list[str]) -> Iterator[str]:
    """A proxy that lets nothing through, and writes down what it was asked for."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                line = connection.recv(4096).partition(b"\r\n")[0]
                left.append(f"proxy: {line.decode('latin-1')}")
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)  # which wakes who waits for the next
    server.close()
    thread.join(10)


def _tracer(folder: Path, calls: list[str]) -> list[str]:
    """The command that `strace` puts before another. What it saw is in `calls` when the thread
    called "wiretap strace" has ended: when strace has, after the last process."""
    fifo = folder / "tap/strace"
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)

    def read() -> None:
        with fifo.open(errors="replace") as lines:
            calls.extend(line for line in lines if _CALL.match(line))

    threading.Thread(target=read, daemon=True, name="wiretap strace").start()
    return ["strace", *_STRACE, "-o", str(fifo)]


def _by_python(heard: Path, seen: Tapped) -> None:
    for line in heard.read_text().splitlines() if heard.exists() else ():
        event, _, said = line.partition(" ")
        if event == "python":
            seen.pythons += 1
            continue
        named, _, who = said.partition(") ")
        host = re.match(r"\(?b?'([^']*)'|\(None", named)
        if host and not _OURS.fullmatch(host[1] or "") and host[1] != socket.gethostname():
            seen.left.append(f"python: {event} {named}) by {who}")


def _by_system(calls: list[str], seen: Tapped) -> None:
    who = set()
    for line in calls:
        match = _CALL.match(line)
        assert match is not None
        who.add(match[1])
        for _port, host in _INET.findall(match[3]):
            if not _OURS.fullmatch(host):
                seen.left.append(f"system: {line.strip()[:300]}")
    seen.traced = len(who)

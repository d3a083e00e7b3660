"""A real nginx on a port of this machine, a process of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from milvus_server import self_signed

NAME = "pictures.example"

CONFIGURATION = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    types {{ }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{tls} ssl;
        listen 127.0.0.1:{plain};
        server_name {name};
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        {locations}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, *locations: str) -> Iterator[tuple[int, int]]:
    """Run one with these location blocks; its ports for HTTPS and HTTP. Skips the test where there
    is none."""
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("no nginx here")
    key, certificate = self_signed(NAME)
    (folder / "key.pem").write_bytes(key)
    (folder / "certificate.pem").write_bytes(certificate)
    tls, plain = free_ports()
    text = CONFIGURATION.format(
        folder=folder,
        tls=tls,
        plain=plain,
        name=NAME,
        user="user root;" if os.getuid() == 0 else "",
        locations="\n".join(locations),
    )
    (folder / "nginx.conf").write_text(text)
    command = [path, "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen([*command, "-e", folder / "error.log"])
    try:
        while not _listens(tls):
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield tls, plain
    finally:
        process.terminate()
        process.wait(timeout=500)


def free_ports() -> tuple[int, int]:
    """Two that nobody listens at now."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True

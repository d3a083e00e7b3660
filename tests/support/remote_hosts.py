"""Real hosts for tests of addresses: an S3 API (moto) and a web server, on this machine."""

from __future__ import annotations

import functools
import http.server
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Website:
    """A folder on the web, with Python's listings, that remembers its requests."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[tuple[str, str]] = []
        """Method and path of each request."""
        self.responses: dict[str, tuple[int, dict[str, str], bytes]] = {}
        """Path -> what is said instead of what the folder holds: status, headers, body."""
        self._connections: list[socket.socket] = []
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                site._connections.append(self.connection)

            def send_head(self) -> Any:
                site.requests.append((self.command, self.path))
                if (response := site.responses.get(self.path)) is None:
                    return super().send_head()
                status, headers, body = response
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)
                return None

            def log_message(self, *_: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def gets(self) -> list[str]:
        """Paths that were read, not only looked at."""
        return sorted(path for method, path in self.requests if method == "GET")

    def stop(self) -> None:
        """Nobody listens at its port any more."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def website(folder: Path) -> Iterator[Website]:
    """Serve a folder."""
    site = Website(folder)
    threading.Thread(target=site._server.serve_forever, args=(0.05,), daemon=True).start()
    yield site
    site.stop()


@contextmanager
def s3() -> Iterator[str]:
    """Serve an empty S3; its address, as AWS_ENDPOINT_URL wants it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()

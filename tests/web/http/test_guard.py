"""Which requests come in: names, origins, tokens; and how much."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from builds import wait_for
from pictures import encoded, noise
from tll_index import Store
from tll_index.core.errors import TllError, UsageError
from tll_index.web import Options, Server

TOKEN = "a-token-of-some-length"
JPEG = {"content-type": "image/jpeg"}
Serve = Callable[..., httpx.Client]


@pytest.mark.parametrize("path", ["/", "/api/info", "/metrics", "/healthz", "/static/x", "/none"])
def test_foreign_names_lead_nowhere(client: httpx.Client, path: str) -> None:
    """As a page does by DNS rebinding: its name suddenly is this machine's address."""
    for host in ("evil.example", "evil.example:8017", "127.0.0.1.evil.example", "", "a@localhost"):
        response = client.get(path, headers={"host": host})
        assert response.status_code == 403 and list(response.json()) == ["error"]


def test_own_names(client: httpx.Client, served: Serve) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8017", "[::1]:8017"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200
    proxied = served(names=["pictures.example"])
    for host in ("pictures.example", "localhost:8017"):
        assert proxied.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[evil"}, 403),
        ({"sec-fetch-site": "same-origin"}, 415),
        ({"sec-fetch-site": "none"}, 415),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        (
            {
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "document",
            },
            403,
        ),
    ],
)
def test_foreign_pages_send_nothing(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    assert client.post("/api/uploads", content=b"x", headers=headers).status_code == status
    own = {"origin": f"http://{client.base_url.host}:{client.base_url.port}"}
    assert client.post("/api/uploads", content=b"x", headers=own).status_code == 415


def test_foreign_pages_show_nothing(client: httpx.Client) -> None:
    """A link from elsewhere may be followed; a picture may not be put into another page."""
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    followed = client.get("/api/info", headers={**link, "sec-fetch-dest": "document"})
    assert followed.status_code == 200
    for dest in ("iframe", "embed"):
        assert client.get("/api/info", headers={**link, "sec-fetch-dest": dest}).status_code == 403
    shown = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert client.get("/api/info", headers=shown).status_code == 403


def test_what_browsers_are_told(client: httpx.Client) -> None:
    for path in ("/api/info", "/healthz", "/none", "/api/docs"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "http" not in policy and "unsafe" not in policy and "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.fixture
def secret(served: Serve) -> httpx.Client:
    """Of a server that demands a token."""
    return served(token=TOKEN)


def test_without_the_token(secret: httpx.Client) -> None:
    for path in ("/api/info", "/api/openapi.json", "/api/docs", "/metrics", "/none"):
        refused = secret.get(path)
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert list(refused.json()) == ["error"]
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer \xff", ""):
        headers = {"authorization": wrong.encode("latin-1")}
        assert secret.get("/api/info", headers=headers).status_code == 401
    assert secret.get("/healthz").status_code == 200
    assert secret.get("/static/reference.css").status_code == 200
    assert secret.get("/static/../api/info").status_code == 401
    assert secret.get("/static/%2e%2e/app.py").status_code == 404


def test_with_the_token(secret: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    for path in ("/api/info", "/metrics"):
        assert secret.get(path, headers=headers).status_code == 200


def test_the_page_gets_a_cookie_for_it(secret: httpx.Client) -> None:
    assert secret.post("/api/session").status_code == 401
    begun = secret.post("/api/session", headers={"authorization": f"Bearer {TOKEN}"})
    assert begun.status_code == 204
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert secret.get("/api/info").status_code == 200  # the client has kept the cookie
    assert secret.delete("/api/session").status_code == 204
    assert secret.get("/api/info").status_code == 401
    name = cookie.partition("=")[0]
    for value in ("x", "", TOKEN, '"', ";;="):
        headers = {"cookie": f"{name}={value}"}
        assert secret.get("/api/info", headers=headers).status_code == 401


def test_other_addresses_demand_a_token(store: Store) -> None:
    with Server(store, host="0.0.0.0", port=0) as server:
        address = server.address
        assert address.token is not None and len(address.token) >= 32
        assert address.url.endswith(f"/#token={address.token}")
        url = f"http://127.0.0.1:{address.port}/api/info"
        assert httpx.get(url, timeout=500, trust_env=False).status_code == 401
        headers = {"authorization": f"Bearer {address.token}", "host": "any.example"}
        assert httpx.get(url, headers=headers, timeout=500, trust_env=False).status_code == 200
    assert Server(store, port=0).address.token is None


def test_what_can_be_no_token(store: Store) -> None:
    for token, says in (("short", "at least 16"), ("with a space " * 3, "ASCII")):
        with pytest.raises(UsageError, match=says):
            Server(store, port=0, token=token)


def test_places_where_nobody_can_listen(store: Store) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(TllError, match="is taken; choose another with --port"),
    ):
        Server(store, port=other.getsockname()[1])
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(UsageError, match="not an address of this machine"):
            Server(store, host=host, port=0)
    with pytest.raises(UsageError, match="--port"):
        Server(store, port=70_000)


@pytest.fixture
def small(served: Serve) -> httpx.Client:
    """Of a server that takes little, and not for long."""
    options = Options(upload_bytes=200_000, body_seconds=2, pause_seconds=0.5)
    return served(options=options)


def test_uploads_that_are_too_large(small: httpx.Client) -> None:
    data = encoded(noise(1, 30, 30), "BMP")
    assert small.post("/api/uploads", content=data, headers=JPEG).status_code == 200

    def chunks(size: int) -> Iterator[bytes]:  # without a Content-Length
        yield data
        for _ in range(size // 10_000):
            yield bytes(10_000)

    for content in (data + bytes(300_000), chunks(300_000)):
        refused = small.post("/api/uploads", content=content, headers=JPEG)
        assert refused.status_code == 413 and "larger than" in refused.json()["error"]
    form = small.post("/api/query", files={"picture": data + bytes(300_000)})
    assert form.status_code == 413
    query = small.post("/api/query", json={"like": ["x" * 300_000]})
    assert query.status_code == 413
    assert small.post("/api/uploads", content=chunks(100_000), headers=JPEG).status_code == 200


def test_an_upload_that_says_how_large_it_is_need_not_be_sent(small: httpx.Client) -> None:
    assert b" 413 " in raw(small, HEAD + "Content-Length: 300000\nExpect: 100-continue")


def raw(client: httpx.Client, head: str, *parts: bytes) -> bytes:
    """What comes back for a request that no library would send."""
    with socket.create_connection((client.base_url.host, client.base_url.port), 20) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        for part in parts:
            time.sleep(0.1)
            line.sendall(part)
        return line.recv(1 << 16)


HEAD = "POST /api/uploads HTTP/1.1\nHost: localhost\nContent-Type: image/jpeg\n"


def test_uploads_that_never_end(small: httpx.Client) -> None:
    assert b" 408 " in raw(small, HEAD + "Content-Length: 1000", b"abc")
    assert b" 408 " in raw(small, HEAD + "Transfer-Encoding: chunked", b"3\r\nabc\r\n")
    slowly = [b"1\r\na\r\n"] * 40  # never a long pause, but too long altogether
    with pytest.raises((BrokenPipeError, ConnectionResetError, AssertionError)):
        assert b" 408 " not in raw(small, HEAD + "Transfer-Encoding: chunked", *slowly)
    assert small.get("/healthz").status_code == 200


def test_a_content_length_that_lies(small: httpx.Client) -> None:
    data = encoded(noise(1), "PNG")
    with socket.create_connection((small.base_url.host, small.base_url.port), 20) as line:
        length = f"Content-Length: {len(data) + 5}\r\n\r\n"
        line.sendall(HEAD.replace("\n", "\r\n").encode() + length.encode() + data)
        line.shutdown(socket.SHUT_WR)
    assert small.get("/healthz").status_code == 200
    wait_for(lambda: "tll_index_held_bytes 0.0" in small.get("/metrics").text)


def test_too_much_in_memory_at_once(served: Serve, photos: list[Path]) -> None:
    crowded = served(options=Options(held_bytes=50_000))
    data = encoded(noise(1, 100, 100), "BMP")
    port = crowded.base_url.port
    with socket.create_connection(("127.0.0.1", port), 20) as line:  # holds 40 kB
        line.sendall(HEAD.replace("\n", "\r\n").encode() + b"Content-Length: 60000\r\n\r\n")
        line.sendall(bytes(40_000))
        wait_for(lambda: "held_bytes 40000.0" in crowded.get("/metrics").text)
        refused = crowded.post("/api/uploads", content=data, headers=JPEG)
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    wait_for(lambda: "held_bytes 0.0" in crowded.get("/metrics").text)
    assert crowded.post("/api/uploads", content=data, headers=JPEG).status_code == 200
    id = hashlib.sha256(photos[0].read_bytes()).hexdigest()
    assert crowded.get(f"/api/pictures/{id}/file").status_code == 200
    wait_for(lambda: "held_bytes 0.0" in crowded.get("/metrics").text)


def test_too_many_at_once(served: Serve) -> None:
    """Some are told to come again; whoever does gets a response."""
    busy = served(options=Options(waiting=0))
    data = encoded(noise(1, 3000, 3000), "PNG")

    def post(_: int) -> int:
        url = f"{busy.base_url}/api/uploads?crop=0,0,9,9"
        return httpx.post(url, content=data, headers=JPEG, timeout=500, trust_env=False).status_code

    with ThreadPoolExecutor(24) as people:
        statuses = set(people.map(post, range(24)))
    assert statuses == {200, 503}
    assert post(0) == 200

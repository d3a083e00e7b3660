"""What reverse proxies say: believed of those that are trusted, of nobody else; HEAD; sub-paths."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from builds import wait_for
from tll_index.core.errors import UsageError
from tll_index.web import Options, Server
from tll_index.web.http.forwarded import Forwarded, networks, reached_as, root_path, route_of
from tll_index.web.listening import host_names

TOKEN = "a-token-of-some-length"
Serve = Callable[..., httpx.Client]
PICTURES = {"names": ["pictures.example"]}


@pytest.fixture
def proxied(served: Serve) -> httpx.Client:
    """Of a server that a proxy on this machine has as pictures.example."""
    return served(**PICTURES)


SAME = {"sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # The browser itself says that it is the same origin: on any port, whatever the Host says.
        ({"host": "pictures.example", "origin": "https://pictures.example:8443", **SAME}, 415),
        ({"host": "pictures.example", "origin": "https://pictures.example", **SAME}, 415),
        ({"host": "127.0.0.1:8017", "origin": "https://pictures.example", **SAME}, 415),
        ({"host": "pictures.example:443", "origin": "https://pictures.example", **SAME}, 415),
        (
            {
                "host": "pictures.example",
                "origin": "https://pictures.example",
                "x-forwarded-proto": "http",  # a proxy behind the one that ends TLS
                **SAME,
            },
            415,
        ),
        ({"host": "pictures.example", "origin": "https://evil.example", **SAME}, 403),
        ({"host": "evil.example", "origin": "https://evil.example", **SAME}, 403),
        ({"host": "pictures.example", "origin": "null", **SAME}, 403),
        # An older browser, or plain HTTP: name and port must fit.
        ({"host": "pictures.example", "origin": "https://pictures.example"}, 415),
        ({"host": "pictures.example", "origin": "http://pictures.example"}, 415),
        ({"host": "pictures.example:443", "origin": "https://pictures.example"}, 415),
        ({"host": "pictures.example:8443", "origin": "https://pictures.example:8443"}, 415),
        ({"host": "Pictures.Example.", "origin": "https://pictures.example"}, 415),
        ({"host": "pictures.example", "origin": "https://pictures.example:8443"}, 403),
        ({"host": "pictures.example:80", "origin": "https://pictures.example"}, 403),
        ({"host": "pictures.example", "origin": "https://evil.example"}, 403),
        # A trusted proxy says it.
        (
            {
                "host": "pictures.example",
                "x-forwarded-port": "8443",
                "origin": "https://pictures.example:8443",
            },
            415,
        ),
        (
            {
                "host": "127.0.0.1:8017",
                "x-forwarded-host": "pictures.example:8443",
                "origin": "https://pictures.example:8443",
            },
            415,
        ),
        (
            {
                "host": "pictures.example",
                "x-forwarded-proto": "https",
                "origin": "http://pictures.example",
            },
            403,
        ),
        # DNS rebinding: a page may set these headers, but not Host.
        ({"host": "evil.example", "x-forwarded-host": "pictures.example"}, 403),
        ({"host": "evil.example:8017", "x-forwarded-host": "localhost"}, 403),
        ({"host": "pictures.example", "x-forwarded-host": "evil.example"}, 403),
        # Other sites.
        ({"host": "pictures.example", "sec-fetch-site": "cross-site"}, 403),
        (
            {
                "host": "pictures.example",
                "origin": "https://pictures.example:8443",
                "sec-fetch-site": "same-site",
            },
            403,
        ),
    ],
)
def test_same_origin_behind_a_proxy(
    proxied: httpx.Client, headers: dict[str, str], status: int
) -> None:
    """415: let in, though this is no picture."""
    assert proxied.post("/api/uploads", content=b"x", headers=headers).status_code == status


def test_a_name_with_its_port(served: Serve) -> None:
    client = served(names=["https://pictures.example:8443/"])
    headers = {"host": "pictures.example"}
    for port, status in {8443: 415, 1: 403}.items():
        told = {**headers, "origin": f"https://pictures.example:{port}"}
        assert client.post("/api/uploads", content=b"x", headers=told).status_code == status


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Pictures.Example", {"pictures.example"}),
        ("pictures.example:8443", {"pictures.example", "pictures.example:8443"}),
        ("http://pictures.example/", {"pictures.example"}),
        ("::1", {"::1"}),
        ("[2001:db8::1]:80", {"2001:db8::1", "2001:db8::1:80"}),
    ],
)
def test_names(said: str, found: set[str]) -> None:
    assert host_names("192.0.2.1", [said]) == {"192.0.2.1", *found}


@pytest.mark.parametrize("said", ["", "two names", "a/b", "me@host", "host:x", "[::1"])
def test_what_is_no_name(said: str) -> None:
    with pytest.raises(UsageError, match="--allow-host"):
        host_names("127.0.0.1", [said])


def told(client: str, headers: dict[str, str], **options: Any) -> dict[str, Any]:
    """The scope of a request from there, as the layers below see it."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": "GET", "path": "/api/info", "scheme": "http", "headers": raw,
        "client": (client, 1),
    }  # fmt: skip
    return dict(Forwarded(None, Options(**options))._rewritten(scope))  # type: ignore[arg-type]


SAID = {
    "host": "a.example",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "b.example",
    "x-forwarded-port": "8443",
    "x-forwarded-for": "192.0.2.9, 198.51.100.7, 10.0.0.2",
    "x-forwarded-prefix": "/lookalikes/",
}


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    proxies = (*Options.proxies, "10.0.0.0/8")
    scope = told(peer, SAID, proxies=proxies)
    assert scope["scheme"] == "https" and scope["client"][0] == "198.51.100.7"
    assert (scope["path"], scope["root_path"]) == ("/lookalikes/api/info", "/lookalikes")
    assert route_of(scope) == "/api/info"
    hosts = ["a.example", "b.example", "a.example:8443", "b.example:8443"]
    assert reached_as(scope, Headers(scope=scope)) == ("https", hosts)


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "2001:db8::1", ""])
def test_nobody_else_is(peer: str) -> None:
    scope = told(peer, SAID)
    assert (scope["scheme"], scope["client"][0], scope["root_path"]) == ("http", peer, "")
    assert scope["path"] == "/api/info"
    assert reached_as(scope, Headers(scope=scope)) == ("", ["a.example"])


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("", "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("192.0.2.1, 127.0.0.1", "192.0.2.1"),
        ("192.0.2.1, evil", "127.0.0.1"),
        ("evil, 192.0.2.1", "192.0.2.1"),
    ],
)
def test_for_whom_a_proxy_asks(said: str, client: str) -> None:
    assert told("127.0.0.1", {"x-forwarded-for": said})["client"][0] == client


@pytest.mark.parametrize(
    "said", ["//evil.example", "/a/../b", "/a b", "/a\\b", "/a?b", "javascript:x", "/<script>"]
)
def test_prefixes_that_are_none(said: str) -> None:
    assert told("127.0.0.1", {"x-forwarded-prefix": said})["root_path"] in ("", "/evil.example")
    if said != "//evil.example":
        with pytest.raises(UsageError, match="--root-path"):
            root_path(said)


def test_settings_that_make_no_sense() -> None:
    assert root_path("/") == root_path("") == ""
    assert root_path("lookalikes/") == root_path("/lookalikes") == "/lookalikes"
    for said in ("/api", "/static/x"):
        with pytest.raises(UsageError, match="server's own"):
            root_path(said)
    assert len(networks(["*"])) == 2
    for said in ("nowhere", "10.0.0.1/8", "10.0.0.0/99"):
        with pytest.raises(UsageError, match="--trusted-proxy"):
            networks([said])


def test_below_a_path(served: Serve, photos: list[Path]) -> None:
    """Whether the proxy takes the path off or not."""
    client = served(token=TOKEN, options=Options(root_path="/lookalikes"))
    bearer = {"authorization": f"Bearer {TOKEN}"}
    to = client.get("/lookalikes?a=b")
    assert to.status_code == 308 and to.headers["location"] == "/lookalikes/?a=b"
    for root in ("", "/lookalikes"):
        client.cookies.clear()
        assert 'src="static/app.js"' in client.get(f"{root}/").text
        assert client.get(f"{root}/static/app.js").status_code == 200
        assert client.get(f"{root}/healthz").status_code == 200
        assert client.get(f"{root}/api/info").status_code == 401
        document = client.get(f"{root}/api/openapi.json", headers=bearer).json()
        assert document["servers"] == [{"url": "/lookalikes"}] and "/api/info" in document["paths"]
        page = client.get(f"{root}/api/docs", headers=bearer).text
        assert 'href="/lookalikes/static/reference.css"' in page and "/lookalikes/api/query" in page
        begun = client.post(f"{root}/api/session", headers=bearer)
        assert "Path=/lookalikes/" in begun.headers["set-cookie"]
        turned = client.get(f"{root}/api/info/", headers=bearer)
        assert turned.headers["location"] == "/lookalikes/api/info"
    assert client.get("/lookalikes/api/info").status_code == 200  # with the cookie
    ended = client.delete("/lookalikes/api/session")
    assert "Path=/lookalikes/" in ended.headers["set-cookie"]
    assert client.get("/lookalikesx/api/info", headers=bearer).status_code == 404
    routes = client.get("/metrics", headers=bearer).text
    assert 'route="/api/info"' in routes and "/lookalikes" not in routes


def test_the_printed_address(store: Any) -> None:
    server = Server(store, port=0, options=Options(root_path="lookalikes/"))
    assert server.address.url == f"http://127.0.0.1:{server.address.port}/lookalikes/"
    server.stop()


def test_head_is_treated_as_get(client: httpx.Client, photos: list[Path]) -> None:
    id = hashlib.sha256(photos[0].read_bytes()).hexdigest()
    paths = ["/", "/healthz", "/static/app.js", "/api/openapi.json", "/api/docs"]
    paths += [f"/api/pictures/{id}{part}" for part in ("", "/thumbnail", "/file")]
    paths += [f"/api/why?a={id}&b={id}", "/none", f"/api/pictures/{'0' * 64}"]
    for path in paths:
        got, head = client.get(path), client.head(path)
        assert head.status_code == got.status_code and head.content == b"", path
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)
    for path in ("/api/info", "/api/random", "/metrics"):  # their length is another each time
        assert client.head(path).status_code == 200
    assert client.head("/api/uploads").status_code == client.get("/api/uploads").status_code == 405
    tag = {"if-none-match": f'"{id}-320"'}
    assert client.head(f"/api/pictures/{id}/thumbnail", headers=tag).status_code == 304
    wait_for(lambda: "tll_index_held_bytes 0.0" in client.get("/metrics").text)
    counted = client.get("/metrics").text
    assert 'method="HEAD",route="/api/pictures/{id}/file",status="200"' in counted

"""The page behind a real nginx, by the lines that docs/serve.md says, over TLS on another port and
below a path."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from nginx import NAME, nginx
from pictures import encoded, noise
from tll_index import Store
from tll_index.web import Options, Server

DOCS = Path(__file__).parents[2] / "docs/serve.md"
TOKEN = "a-token-of-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}
BARE = """location / {
    proxy_pass http://127.0.0.1:8017;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Proto $scheme;
}"""
"""As docs/serve.md said once, and many have it: the port is not passed on."""


def documented(path: str) -> str:
    """The block for that location."""
    (block,) = re.findall(
        rf"```nginx\n(location {path} {{.*?\n}})\n```", DOCS.read_text(), re.DOTALL
    )
    return str(block)


@dataclass
class Outside:
    """The page as it is reached through nginx."""

    tls: httpx.Client
    plain: httpx.Client
    root: str

    @property
    def clients(self) -> list[httpx.Client]:
        return [self.tls, self.plain]


Through = Callable[..., Outside]


@pytest.fixture
def through(store: Store, tmp_path: Path) -> Iterator[Through]:
    """Serve `store` behind an nginx with such a block."""
    with ExitStack() as stack:

        def start(block: str, root: str = "") -> Outside:
            options = Options(root_path=root)
            server = stack.enter_context(
                Server(store, port=0, token=TOKEN, names=[NAME], options=options)
            )
            (folder := tmp_path / "nginx").mkdir()
            here = block.replace(":8017", f":{server.address.port}")
            assert here != block
            tls, plain = stack.enter_context(nginx(folder, here))
            trusting = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
            clients = [
                stack.enter_context(_client("https", tls, trusting)),
                stack.enter_context(_client("http", plain, trusting)),
            ]
            return Outside(*clients, root)

        yield start


class _Named(httpx.HTTPTransport):
    """Takes this machine for the one of every name, as a test's hosts file would."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        here = request.url.copy_with(host="127.0.0.1")
        said = {**request.extensions, "sni_hostname": request.url.host}
        return super().handle_request(
            httpx.Request(
                request.method,
                here,
                headers=request.headers,
                stream=request.stream,
                extensions=said,
            )
        )


def _client(scheme: str, port: int, trusting: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(
        base_url=f"{scheme}://{NAME}:{port}", transport=_Named(verify=trusting), timeout=500
    )


def origin(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


WAYS = {
    "documented": ("/", ""),
    "below a path": ("/lookalikes", "/lookalikes"),
    "path taken off": ("/lookalikes", "/lookalikes"),
    "port hidden": ("", ""),
}


@pytest.fixture(params=WAYS)
def outside(request: pytest.FixtureRequest, through: Through) -> Outside:
    """Each way to have it."""
    path, root = WAYS[request.param]
    block = documented(path) if path else BARE
    if request.param == "path taken off":
        block = block.replace("location /lookalikes", "location /lookalikes/")
        block = block.replace(":8017;", ":8017/;")
    return through(block, root)


def test_through_nginx(outside: Outside, photos: list[Path]) -> None:
    id = hashlib.sha256(photos[0].read_bytes()).hexdigest()
    root = outside.root
    for client in outside.clients:
        is_tls = origin(client).startswith("https")
        if root:
            assert client.get(root, follow_redirects=True).url.path == f"{root}/"
        assert 'src="static/app.js"' in client.get(f"{root}/").text
        assert client.get(f"{root}/api/info").status_code == 401
        own = {"origin": origin(client), "sec-fetch-site": "same-origin"}
        begun = client.post(f"{root}/api/session", headers={**BEARER, **own})
        assert begun.status_code == 204
        cookie = begun.headers["set-cookie"]
        assert f"Path={root}/;" in cookie and ("Secure" in cookie) == is_tls
        assert client.get(f"{root}/api/info").json()["pictures"] == 12  # by the cookie
        for path in ("/static/app.js", f"/api/pictures/{id}/file", f"/api/pictures/{id}/thumbnail"):
            got, head = client.get(root + path), client.head(root + path)
            assert got.status_code == head.status_code == 200 and not head.content
            assert head.headers["content-type"] == got.headers["content-type"]
        upload = encoded(noise(1, 300, 300), "PNG")
        for headers in (own, {}):
            kind = {"content-type": "image/png"}
            seen = client.post(f"{root}/api/uploads", content=upload, headers={**headers, **kind})
            assert seen.status_code == 200
        turned = client.get(f"{root}/api/info/")
        assert turned.headers["location"] == f"{root}/api/info"


def test_what_a_foreign_page_asks_stays_outside(outside: Outside) -> None:
    for client in outside.clients:
        url = f"{outside.root}/api/uploads"
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": f"https://{NAME}:1"},
            {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
            {"origin": origin(client), "sec-fetch-site": "cross-site"},
            {"host": "evil.example"},
            {"host": "evil.example", "x-forwarded-host": NAME},
        ):
            refused = client.post(url, content=b"x", headers={**BEARER, **headers})
            assert refused.status_code == 403, headers


@pytest.mark.parametrize("path", ["/", "/lookalikes"])
def test_an_older_browser_through_the_documented_lines(through: Through, path: str) -> None:
    """It says only where the page is from, name and port; over plain HTTP all do so. Uploads are as
    large as the server takes them."""
    outside = through(documented(path), path.rstrip("/"))
    large = encoded(noise(1, 1200, 1000), "BMP")
    for client in outside.clients:
        headers = {**BEARER, "origin": origin(client), "content-type": "image/bmp"}
        url = f"{outside.root}/api/uploads"
        assert client.post(url, content=large, headers=headers).status_code == 200
        elsewhere = {**headers, "origin": f"{origin(client)}1"}
        assert client.post(url, content=b"x", headers=elsewhere).status_code == 403


def test_a_hidden_port_is_named_in_the_refusal(through: Through) -> None:
    outside = through(BARE)
    headers = {**BEARER, "origin": origin(outside.plain)}
    refused = outside.plain.post("/api/uploads", content=b"x", headers=headers)
    assert refused.status_code == 403 and "pass on the name and port" in refused.json()["error"]


@pytest.mark.slow
def test_the_page_below_a_path_in_a_browser(store: Store, tmp_path: Path) -> None:
    """Over TLS on another port: it loads, takes a picture, shows what looks like it."""
    from playwright.sync_api import expect

    from chromium import Visit, cards, chromium, give, wait_for_hits

    options = Options(root_path="/lookalikes")
    with (
        chromium() as browser,
        Server(store, port=0, token=TOKEN, names=["localhost"], options=options) as server,
    ):
        block = documented("/lookalikes").replace(":8017", f":{server.address.port}")
        with nginx(tmp_path, block) as (tls, _):
            visit = Visit(browser)
            page = visit.open(
                f"https://localhost:{tls}/lookalikes/#token={TOKEN}", ignore_https_errors=True
            )
            expect(cards(page)).to_have_count(12)
            give(page, "#hero", ("new.png", "image/png", encoded(noise(77, 200, 200), "PNG")))
            wait_for_hits(page)
            expect(cards(page).first.locator("img")).to_have_js_property("complete", True)
            visit.close()
    own = f"request elsewhere: blob:https://localhost:{tls}/"  # which has no path
    assert not [one for one in visit.faults if not one.startswith(own)] and not visit.said

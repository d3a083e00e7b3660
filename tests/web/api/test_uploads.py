"""Hostile and broken pictures, and forms: refused in one line, by decoders that are fenced."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from pictures import encoded, noise, png_claiming
from tll_index.web import Options

JPEG = {"content-type": "image/jpeg"}
FORM = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize("path", ["/api/uploads", "/api/query"])
@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"", 422, "is empty"),
        (b"hello", 415, "is not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "is not a picture"),
        (encoded(noise(1, 400, 300), "JPEG")[:900], 422, "is cut off"),
        (png_claiming(20_000, 10_000), 413, "megapixels"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), 415, "a kind of PNG"),
    ],
    ids=["empty", "text", "svg", "cut off", "bomb", "half a PNG"],
)
def test_what_is_no_picture(
    client: httpx.Client, path: str, data: bytes, status: int, says: str
) -> None:
    response = client.post(path, content=data, headers=JPEG)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert says in response.json()["error"] and "\n" not in response.json()["error"]
    good = client.post(path, content=encoded(noise(72), "PNG"), headers=JPEG)
    assert good.status_code == 200


def test_what_is_sent_as_something_else(client: httpx.Client) -> None:
    for kind in ("text/html", "application/x-www-form-urlencoded", ""):
        headers = {"content-type": kind} if kind else {}
        response = client.post("/api/query", content=b"x", headers=headers)
        assert response.status_code == 415 and "image/*" in response.json()["error"]
    malformed = {"content-type": "application/json"}
    for text in (b"{", b"", b"\xff", b"[" * 100_000):
        response = client.post("/api/query", content=text, headers=malformed)
        assert response.status_code == 400 and response.json() == {"error": "the body is not JSON"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", FORM),
        (b"nonsense", FORM),
        (b"nonsense", {"content-type": "multipart/form-data"}),
        (b"--b\r\nContent-Disposition: form-data; name=picture\r\n\r\nx\r\n--b--\r\n", FORM),
        (b'--b\r\nContent-Disposition: form-data; name="x"; filename="a"\r\n\r\nx\r\n--b--', FORM),
        (b"--b\r\n\r\nx\r\n--b--\r\n", FORM),
    ],
    ids=["empty", "nonsense", "no boundary", "no file", "another field", "no name"],
)
def test_forms_without_a_picture(
    client: httpx.Client, body: bytes, headers: dict[str, str]
) -> None:
    response = client.post("/api/uploads", content=body, headers=headers)
    assert response.status_code == 400 and "form" in response.json()["error"]


def test_nothing_of_an_upload_is_on_the_disk(
    client: httpx.Client, here: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = here / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def files() -> set[Path]:
        return {path for folder in (here, home) for path in folder.rglob("*")}

    client.post("/api/uploads", content=encoded(noise(1), "PNG"), headers=JPEG)
    before = files()
    changed = os.stat(temporary).st_mtime_ns  # which an unlinked file changes as well
    large = encoded(noise(3, 1200, 1200), "BMP")
    assert client.post("/api/uploads", files={"picture": large}).status_code == 200
    assert client.post("/api/query", content=large, headers=JPEG).status_code == 200
    assert files() == before and os.stat(temporary).st_mtime_ns == changed


def test_uploads_are_forgotten(served: Callable[..., httpx.Client]) -> None:
    client = served(options=Options(remembered_uploads=2))

    def send(seed: int) -> str:
        data = encoded(noise(seed), "PNG")
        return str(client.post("/api/uploads", content=data, headers=JPEG).json()["upload"])

    def status(upload: str) -> int:
        return client.post("/api/query", json={"like": [{"upload": upload}]}).status_code

    first, second = send(70), send(71)
    assert status(first) == 200  # so the second is the longest unused
    third = send(72)
    assert [status(one) for one in (first, second, third)] == [200, 410, 200]
    client = served(options=Options(remembered_seconds=0.2))
    first = send(70)
    time.sleep(0.3)
    assert (
        status(first) == 410 and "tll_index_uploads_remembered 0.0" in client.get("/metrics").text
    )


def test_a_decoder_that_dies_costs_nobody_anything(client: httpx.Client) -> None:
    """Killed under the server, as the system does when memory runs out."""
    client.post("/api/uploads", content=encoded(noise(75), "PNG"), headers=JPEG)
    for pid in decoders_of(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    response = client.post("/api/uploads", content=encoded(noise(76), "PNG"), headers=JPEG)
    assert response.status_code == 200
    lost = [line for line in client.get("/metrics").text.splitlines() if "lost" in line][-1]
    assert float(lost.split()[-1]) >= 1


def decoders_of(parent: int) -> list[int]:
    """Decoder processes of a process, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if (
                int(fields[1]) == parent
                and b"indexer.decoding" in (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
        except OSError:
            continue
    return found

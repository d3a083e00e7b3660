"""Reading and listing at addresses, from hosts that are slow to please: a real web server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_hosts import Website, website
from tll_index.core.errors import (
    AddressError,
    EmptyPictureError,
    MissingPictureError,
    TooLargePictureError,
    UnreachableError,
    UnreadablePictureError,
)
from tll_index.engine.images.decode import Limits
from tll_index.engine.images.file_bytes import read_bytes, read_file
from tll_index.engine.remote import fsspec_io as remote
from tll_index.engine.remote.backoff import Outages

pytest.importorskip("aiohttp")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    (tmp_path / "a.png").write_bytes(b"12345")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    with website(tmp_path) as site:
        yield site


def names(address: str) -> list[tuple[str, bool]]:
    found = remote.entries(address.encode(), lambda name, is_folder: True)
    return sorted((entry.name, entry.is_folder) for entry in found)


def page(*links: str) -> tuple[int, dict[str, str], bytes]:
    body = "".join(f"<li><a class=x HREF='{link}'>it</a>" for link in links)
    return 200, {"Content-Type": "text/html; charset=utf-8"}, body.encode()


def test_bytes(site: Website) -> None:
    assert read_file(f"{site.address}/a.png") == (b"12345", None)
    assert read_bytes(f"{site.address}/a.png".encode()) == b"12345"
    with pytest.raises(MissingPictureError):
        read_file(f"{site.address}/no.png")
    with pytest.raises(EmptyPictureError):
        read_file(f"{site.address}/empty.png")


def test_what_is_too_large_is_not_read(site: Website) -> None:
    site.responses["/huge.png"] = 200, {"Content-Length": str(1 << 30)}, b"1"
    with pytest.raises(TooLargePictureError, match="1024 MiB"):
        read_file(f"{site.address}/huge.png", Limits(max_bytes=4))
    # A host that doesn't say how much it sends.
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (1 << 20, bytes(1 << 20))
    site.responses["/long.png"] = 200, {"Content-Length": "", "Transfer-Encoding": "chunked"}, body
    with pytest.raises(TooLargePictureError):
        read_file(f"{site.address}/long.png", Limits(max_bytes=4))
    assert len(read_file(f"{site.address}/long.png").data) == 1 << 20


@pytest.mark.parametrize(("status", "times"), [(500, 2), (503, 2), (403, 1), (418, 1)])
def test_troubles_of_a_host(site: Website, status: int, times: int) -> None:
    """What may pass is tried once more; none is a missing file."""
    site.responses["/a.png"] = status, {}, b""
    with pytest.raises(UnreadablePictureError, match=str(status)):
        read_file(f"{site.address}/a.png")
    assert site.gets() == ["/a.png"] * times


def test_nothing_is_fetched_from_another_host(site: Website, tmp_path: Path) -> None:
    with website(tmp_path) as other:
        site.responses["/a.png"] = 302, {"Location": f"{other.address}/a.png"}, b""
        site.responses["/b.png"] = 302, {"Location": "/empty.png"}, b""
        with pytest.raises(UnreadablePictureError, match="another host"):
            read_file(f"{site.address}/a.png")
        with pytest.raises(EmptyPictureError):
            read_file(f"{site.address}/b.png")
        site.responses["/folder/"] = page(f"{other.address}/folder/a.png", "//evil.invalid/a.png")
        assert names(f"{site.address}/folder") == []
        assert other.requests == []


def test_a_page_of_links(site: Website) -> None:
    site.responses["/folder/"] = page(
        *("a%20b.png", "/folder/c&amp;d.png", f"{site.address}/folder/e.png#x", "f/", "é.png"),
        *("../a.png", "..", "/", "/a.png", "?C=N;O=D", "g.png?w=3", "f/deep.png", "./", "", "http://["),
    )  # fmt: skip
    for name in ("a%20b.png", "c&d.png", "e.png", "%C3%A9.png"):
        site.responses[f"/folder/{name}"] = 200, {"ETag": f'"{name}"'}, b"1"
    listed = [("%C3%A9.png", False), ("a%20b.png", False), ("c&d.png", False), ("e.png", False)]
    assert names(f"{site.address}/folder") == [*listed, ("f", True)]


def test_listings_that_fail(site: Website) -> None:
    address = f"{site.address}/folder".encode()
    for answer, why in {
        (503, "", ""): "503",
        (401, "", ""): "denied",
        (302, "Location", "/"): "name that instead",
        (200, "Content-Type", "image/png"): "not a listing",
    }.items():
        site.responses["/folder/"] = answer[0], {answer[1]: answer[2]} if answer[1] else {}, b""
        with pytest.raises(AddressError, match=why):
            remote.entries(address, lambda *_: True)


def test_states_of_files(site: Website) -> None:
    """One file that can't be asked for its state leaves the others alone."""
    site.responses["/folder/"] = page("a.png", "b.png", "c.png", "gone.png", "head.png")
    site.responses["/folder/a.png"] = 200, {"ETag": '"1"', "Content-Length": "7"}, b"1234567"
    site.responses["/folder/b.png"] = 403, {}, b""
    site.responses["/folder/c.png"] = 200, {"Content-Length": "1"}, b"1"
    site.responses["/folder/head.png"] = 405, {}, b""
    found = remote.entries(f"{site.address}/folder".encode(), lambda *_: True)
    by_name = {entry.name: entry for entry in found}
    assert sorted(by_name) == ["a.png", "b.png", "c.png", "head.png"]
    assert by_name["a.png"].size == 7
    assert by_name["a.png"].stamp == remote.stamp_of({"ETag": "1"})
    assert by_name["b.png"].stamp is by_name["c.png"].stamp is None
    assert ("GET", "/folder/head.png") in site.requests


def test_a_host_that_is_silent(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its time, twice; then the next files do not wait for it."""
    import aiohttp

    from tll_index.engine.remote import http_listing as webpages

    short = aiohttp.ClientTimeout(sock_read=0.05)
    monkeypatch.setattr("fsspec.config.conf", {"http": {"client_kwargs": {"timeout": short}}})
    monkeypatch.setattr(remote, "_shared", {})
    monkeypatch.setattr(remote, "_outages", Outages())
    assert webpages.READ_SECONDS <= 60
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.png"
        for _ in range(3):
            with pytest.raises(UnreadablePictureError, match="does not answer"):
                read_file(address)
        with pytest.raises(UnreadablePictureError, match="not tried"):
            read_file(address)
    with pytest.raises(UnreachableError, match="can't be reached"):
        remote.entries(b"http://127.0.0.1:9", lambda *_: True)
    assert read_file(f"{site.address}/a.png").data == b"12345"


def test_many_threads_share_one_session(site: Website) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(read_bytes, [f"{site.address}/a.png"] * 24))
    assert found == [b"12345"] * 24
    assert len([key for key in remote._shared if key[1].startswith("http ")]) == 1


def test_paths_need_no_fsspec(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    code = (
        "import sys; from tll_index.engine.images.file_bytes import read_file; "
        "read_file(sys.argv[1]); "
        "from tll_index.indexer.ingest import build; print('fsspec' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    assert subprocess.check_output(command, env=os.environ, text=True) == "False\n"


def test_packages_that_are_missing(tmp_path: Path) -> None:
    """fsspec itself, and what a scheme needs: by name, with what to do."""
    code = (
        "import sys; from tll_index.engine.images.file_bytes import read_file\n"
        "sys.modules[sys.argv[1]] = None\n"
        "try: read_file(sys.argv[2])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    for module, address, advice in (
        ("fsspec", "s3://bucket/a.png", "pip install 'tll-index[urls]'"),
        ("s3fs", "s3://bucket/a.png", "pip install s3fs"),
        ("aiohttp", "https://example.invalid/a.png", "pip install aiohttp"),
    ):
        said = subprocess.check_output([sys.executable, "-c", code, module, address], text=True)
        assert said.startswith("UnreadablePictureError") and advice in said


def test_memory_as_any_other_file_system() -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe({"/here/a.png": b"1", "/here/b/c.png": b"22", "/hereafter/d.png": b"3"})
    try:
        assert names("memory://here") == [("a.png", False), ("b", True)]
        assert read_bytes("memory://here/b/c.png") == b"22"
        with pytest.raises(AddressError, match="not a folder"):
            names("memory://here/a.png")
        assert (
            time.time_ns() - remote.entries(b"memory://here/b", lambda *_: True)[0].stamp < 10**11
        )  # type: ignore[operator]
    finally:
        system.rm("/here", recursive=True)
        system.rm("/hereafter", recursive=True)


def test_what_a_listing_may_hold_besides() -> None:
    """A bucket has keys that no folder could have: they are left out, and end no walk."""
    names = ["b/p", "b/p/", "b/p//", "b/p//x.png", "b/p/..", "b/p/.", "b/pp/x.png", "b/p/a/b.png"]
    assert [remote._below(name, "b/p") for name in names] == [None] * len(names)
    assert [remote._below(name, "b/p") for name in ("b/p/a", "b/p/a/")] == ["a", "a"]
    assert remote._below("/a", "/") == remote._below("/a", "") == remote._below("a", "") == "a"

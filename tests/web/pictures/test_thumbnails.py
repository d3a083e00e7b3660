"""Thumbnails that are made once, and originals that are what was indexed or nothing."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from pictures import noise
from tll_index import build, forget
from tll_index.web import Options
from tll_index.web.pictures.thumbnails import ThumbnailFiles


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def large(photos: list[Path]) -> Path:
    """An indexed picture of 900 x 600 pixels, that lies on its side."""
    path = Path("photos/large.jpg").absolute()
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(300, 900, 600).save(path, exif=exif)
    build()
    return path


def test_sides(large: Path, client: httpx.Client) -> None:
    for side in (160, 320, 640):
        data = client.get(f"/api/pictures/{digest(large)}/thumbnail?side={side}").content
        image = Image.open(io.BytesIO(data))
        assert image.format == "JPEG" and max(image.size) == side and image.height > image.width


def test_made_once_and_kept(large: Path, served: Callable[..., httpx.Client], home: Path) -> None:
    url = f"/api/pictures/{digest(large)}/thumbnail?side=320"
    first = served()
    with ThreadPoolExecutor(20) as people:
        bodies = list(people.map(lambda _: first.get(url).content, range(40)))
    assert len(set(bodies)) == 1
    kept = files_in(home / "cache/thumbnails")
    assert [path.name for path in kept] == [f"{digest(large)}-320"]
    large.unlink()  # so that nobody could make it again
    assert served().get(url).content == bodies[0]


def test_a_damaged_one_is_made_again(large: Path, client: httpx.Client, home: Path) -> None:
    url = f"/api/pictures/{digest(large)}/thumbnail"
    whole = client.get(url).content
    (kept,) = files_in(home / "cache/thumbnails")
    kept.write_bytes(kept.read_bytes()[:-9])
    assert client.get(url).content == whole


def test_where_none_can_be_kept(large: Path, client: httpx.Client, home: Path) -> None:
    (home / "cache").mkdir(exist_ok=True)
    (home / "cache/thumbnails").write_text("in the way")
    assert client.get(f"/api/pictures/{digest(large)}/thumbnail").status_code == 200


def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    files = ThumbnailFiles(tmp_path / "kept", 10_000)
    names = [f"{at:064x}" for at in range(14)]
    for at, name in enumerate(names):
        files.put(name, 160, bytes(1000))
        os.utime(tmp_path / "kept" / name[:2] / f"{name}-160", (at, at))
        if at == 5:
            files.get(names[0], 160)  # used again
    sizes = [path.stat().st_size for path in files_in(tmp_path / "kept")]
    assert sum(sizes) <= 10_000
    there = [at for at, name in enumerate(names) if files.get(name, 160)]
    assert there[0] == 0 and there[1] > 4 and there[-1] == 13
    again = ThumbnailFiles(tmp_path / "kept", 3000)  # another process, that allows less
    again.put("f" * 64, 160, bytes(1000))
    assert len(files_in(tmp_path / "kept")) == 2


def test_what_was_forgotten_is_shown_to_nobody(
    large: Path, client: httpx.Client, home: Path
) -> None:
    url, etag = f"/api/pictures/{digest(large)}", {"if-none-match": f'"{digest(large)}-320"'}
    assert client.get(f"{url}/thumbnail").status_code == 200
    assert files_in(home / "cache/thumbnails")
    forget([large])
    assert not files_in(home / "cache/thumbnails")
    for path in ("", "/thumbnail", "/file"):
        assert client.get(url + path).status_code == 404
        assert client.get(url + path, headers=etag).status_code == 404


def test_another_file_in_its_place(large: Path, client: httpx.Client, here: Path) -> None:
    """Swapped for another picture, a link to a secret, a folder, a pipe: none is ever sent."""
    url = f"/api/pictures/{digest(large)}"
    secret = here / "secret.png"
    noise(999).save(secret)

    def replacements() -> list[Callable[[], object]]:
        return [
            lambda: shutil.copy(secret, large),
            lambda: large.symlink_to(secret),
            lambda: large.symlink_to("/etc/passwd"),
            lambda: large.symlink_to("/dev/zero"),
            lambda: large.mkdir(),
            lambda: os.mkfifo(large),
            lambda: large.write_bytes(b""),
            lambda: None,
        ]

    whole = large.read_bytes()
    large.unlink()
    for replace in replacements():
        replace()
        for path in ("/file", "/thumbnail?side=640"):
            response = client.get(url + path)
            assert response.status_code == 404 and list(response.json()) == ["error"]
            assert "is no longer where it was indexed" in response.json()["error"]
        if large.is_dir() and not large.is_symlink():
            large.rmdir()
        else:
            large.unlink(missing_ok=True)
    large.write_bytes(whole)
    assert client.get(f"{url}/file").content == whole


def test_a_copy_stands_in(large: Path, client: httpx.Client) -> None:
    id = digest(large)
    shutil.copy(large, "photos/zzz.jpg")
    build()
    large.write_bytes(b"changed")
    assert hashlib.sha256(client.get(f"/api/pictures/{id}/file").content).hexdigest() == id


@pytest.mark.parametrize(
    "path",
    [
        "/api/pictures/../../etc/passwd",
        "/api/pictures/..%2f..%2fetc%2fpasswd/file",
        "/api/pictures/%2e%2e/file",
        "/api/pictures/photos%2fleft%2fpicture0000.png/file",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
    ],
)
def test_no_path_leads_to_a_file(client: httpx.Client, path: str) -> None:
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())  # as it is, not tidied
    response = client.send(request)
    assert response.status_code in (404, 422)
    assert b"root:" not in response.content and b"import" not in response.content


def test_options_of_the_disk(served: Callable[..., httpx.Client], large: Path, home: Path) -> None:
    client = served(options=Options(thumbnail_bytes=1))
    for side in (160, 320):
        url = f"/api/pictures/{digest(large)}/thumbnail?side={side}"
        assert client.get(url).status_code == 200
    kept = files_in(home / "cache/thumbnails")
    assert kept == []

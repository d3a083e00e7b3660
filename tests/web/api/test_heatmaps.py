"""GET /api/why: the image that `tll-index why` would draw, of indexed pictures and of uploads."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from pictures import encoded, noise
from tll_index import Store, why
from tll_index.engine.images.decode import Geometry, decode
from tll_index.indexer.store.query import QueryEmbedding
from tll_index.web.pictures import uploaded_queries


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ask(client: httpx.Client, a: str, b: str) -> httpx.Response:
    return client.get("/api/why", params={"a": a, "b": b})


def upload(client: httpx.Client, data: bytes) -> dict[str, object]:
    headers = {"content-type": "image/png"}
    return dict(client.post("/api/uploads", content=data, headers=headers).json())


def shown(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/jpeg"
    return np.asarray(Image.open(io.BytesIO(response.content)))


def drawn(store: Store, a: bytes, b: bytes) -> np.ndarray:
    geometry = store.embedder.backbone.spec.geometry
    reasons = why(decode(a, geometry), decode(b, geometry), store=store)
    return np.asarray(Image.open(io.BytesIO(reasons.encoded("JPEG"))))


def test_of_two_indexed_pictures(client: httpx.Client, store: Store, photos: list[Path]) -> None:
    assert client.get("/api/info").json()["why"] is True
    a, b = photos[:2]
    image = shown(ask(client, digest(a), digest(b)))
    assert (image == drawn(store, a.read_bytes(), b.read_bytes())).all()
    other = shown(ask(client, digest(b), digest(a)))
    assert other.shape == image.shape and (other != image).any()


def test_of_an_upload(client: httpx.Client, store: Store, photos: list[Path]) -> None:
    data = encoded(noise(77), "PNG")
    image = shown(ask(client, str(upload(client, data)["upload"]), digest(photos[0])))
    assert (image == drawn(store, data, photos[0].read_bytes())).all()


def test_an_upload_that_is_indexed_is_read_from_its_file(
    client: httpx.Client, photos: list[Path]
) -> None:
    a, b = photos[:2]
    told = upload(client, a.read_bytes())
    assert told["known"] == digest(a)
    by_upload, by_id = (
        shown(ask(client, str(one), digest(b))) for one in (told["upload"], digest(a))
    )
    assert (by_upload == by_id).all()


@pytest.mark.parametrize("strange", ["nobody", "../../etc/passwd", ""])
def test_names_that_nobody_goes_by(client: httpx.Client, photos: list[Path], strange: str) -> None:
    response = ask(client, strange, digest(photos[0]))
    assert (response.status_code, response.json()["error"]) == (
        410,
        "that picture is no longer remembered: upload it again",
    )
    assert ask(client, digest(photos[0]), strange).status_code == 422


def test_pictures_that_are_not_there(client: httpx.Client, photos: list[Path]) -> None:
    a, b = digest(photos[0]), digest(photos[1])
    assert ask(client, "0" * 64, b).status_code == ask(client, a, "0" * 64).status_code == 404
    photos[1].write_bytes(encoded(noise(5), "PNG"))
    response = ask(client, a, b)
    assert response.status_code == 404
    assert (
        response.json()["error"] == "the picture is no longer where it was indexed, or has changed"
    )


def test_only_the_last_squares_are_kept() -> None:
    held = uploaded_queries.UploadedQueries(1000, 60.0)
    square = decode(encoded(noise(1), "PNG"), Geometry(8, fit="squash"))
    query = uploaded_queries.UploadedQuery(
        QueryEmbedding("-", np.ones((1, 1), np.float32)), 1, 1, None, square
    )
    names = [held.keep(query) for _ in range(uploaded_queries._SQUARES + 5)]
    kept = [found.picture is not None for name in names if (found := held.get(name))]
    assert kept == [False] * 5 + [True] * uploaded_queries._SQUARES

"""POST /api/query with a text, in a store with a text space and in one without."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from clips import VIT, install, random_network, write_weights
from pictures import encoded, fill_folder, noise
from tll_index import Recipe, Store, build
from tll_index.web import Server

pytestmark = pytest.mark.usefixtures("by_torch")


@pytest.fixture(scope="module")
def architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    install(tmp_path_factory.mktemp("configs"))


def found(response: httpx.Response) -> list[tuple[str, float]]:
    assert response.status_code == 200, response.text
    return [(hit["id"], hit["score"]) for hit in response.json()["hits"]]


def test_text_and_pictures(architectures: None, here: Path, home: Path) -> None:
    write_weights(random_network(VIT), home / "weights" / f"{VIT}.safetensors")
    fill_folder(here / "photos", 8)
    build(["photos"], recipe=Recipe(VIT, text=True))
    with Store.open() as store, Server(store, port=0) as server:
        url = f"http://{server.address.host}:{server.address.port}"
        with httpx.Client(base_url=url, timeout=500, trust_env=False) as client:
            assert client.get("/api/info").json()["text"] is True
            wanted = store.query(text="a red door", k=8)
            hits = found(client.post("/api/query", json={"text": "a red door", "limit": 8}))
            assert hits == [(hit.sha256, hit.score) for hit in wanted]

            data = encoded(noise(77), "PNG")
            upload = client.post(
                "/api/uploads", content=data, headers={"content-type": "image/png"}
            ).json()["upload"]
            mixed = store.query(data, 8, text="a red door")
            body = {"text": "a red door", "like": [{"upload": upload}]}
            hits = found(client.post("/api/query", json=body))
            assert [id for id, _ in hits] == [hit.sha256 for hit in mixed]
            assert [id for id, _ in hits] != [hit.sha256 for hit in wanted]

            empty = client.post("/api/query", json={"text": ""})
            assert empty.status_code == 422


def test_a_store_without_texts_says_what_to_build(client: httpx.Client) -> None:
    assert client.get("/api/info").json()["text"] is False
    response = client.post("/api/query", json={"text": "a red door"})
    assert response.status_code == 422
    assert "tiny" in response.json()["error"] and "clip_rn50x4" in response.json()["error"]

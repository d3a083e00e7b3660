"""Every endpoint, over HTTP, held against the Python API of the same store."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from builds import wait_for
from pictures import encoded, fill_folder, noise
from tll_index import Recipe, Store, build
from tll_index.engine.images.crops import Crop
from tll_index.web import Server

JPEG = {"content-type": "image/jpeg"}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def found(response: httpx.Response) -> list[tuple[str, float]]:
    assert response.status_code == 200, response.text
    return [(hit["id"], hit["score"]) for hit in response.json()["hits"]]


def wanted(hits: Any) -> list[tuple[str, float]]:
    return [(hit.sha256, hit.score) for hit in hits]


def query(client: httpx.Client, **body: object) -> httpx.Response:
    return client.post("/api/query", json=body)


def test_what_is_served(client: httpx.Client) -> None:
    told = client.get("/api/info").json()
    assert (told["pictures"], told["paths"], told["generation"]) == (12, 12, 1)
    assert (told["store"], told["backbone"], told["lens"]) == (".tll-index", "tiny", False)
    assert told["folders"] == [{"name": "left", "pictures": 4}, {"name": "right", "pictures": 8}]
    assert told["limits"] == {
        "upload_bytes": 32 << 20,
        "page": 200,
        "deepest": 2000,
        "pictures_a_query": 16,
    }


def test_an_indexed_picture_is_queried_by_id(
    client: httpx.Client, store: Store, photos: list[Path]
) -> None:
    response = query(client, like=[{"id": digest(photos[0])}], limit=5)
    assert found(response) == wanted(store.query(photos[0], 5))
    told = response.json()
    assert told["total_pictures"] == 12 and told["more"] is True
    first, hit = told["hits"][0], store.query(photos[0], 1)[0]
    assert first == {
        "id": hit.sha256,
        "rank": 1,
        "score": hit.score,
        "name": os.path.basename(hit.path),
        "folder": os.path.relpath(os.path.dirname(hit.path), Path("photos").absolute()),
        "width": 40,
        "height": 30,
        "copies": 0,
    }


def test_an_uploaded_picture_is_queried_in_one_call(client: httpx.Client, store: Store) -> None:
    data = encoded(noise(77, 300, 200), "JPEG")
    expected = wanted(store.query(data, 7))
    assert found(client.post("/api/query?limit=7", content=data, headers=JPEG)) == expected
    octets = {"content-type": "application/octet-stream"}
    assert found(client.post("/api/query?limit=7", content=data, headers=octets)) == expected
    form = client.post("/api/query?limit=7", files={"picture": ("a.jpg", data)})
    assert found(form) == expected


def test_a_part_of_an_uploaded_picture(client: httpx.Client, store: Store) -> None:
    data = encoded(noise(77, 300, 200), "PNG")
    url = "/api/query?limit=3&crop=10%25,0%25,50%25,60%25"
    response = client.post(url, content=data, headers=JPEG)
    assert found(response) == wanted(store.query(data, 3, crop=Crop.parse("10%,0%,50%,60%")))
    outside = client.post("/api/query?crop=900,900,10,10", content=data, headers=JPEG)
    assert outside.status_code == 422 and "is outside of it" in outside.json()["error"]
    senseless = client.post("/api/uploads?crop=left", content=data, headers=JPEG)
    assert senseless.status_code == 422 and "crop 'left'" in senseless.json()["error"]


def test_more_like_these_less_like_that(
    client: httpx.Client, store: Store, photos: list[Path]
) -> None:
    data = encoded(noise(77), "PNG")
    shown = client.post("/api/uploads", content=data, headers=JPEG).json()
    assert (shown["width"], shown["height"], shown["known"]) == (40, 30, None)
    response = query(
        client,
        like=[{"upload": shown["upload"], "weight": 2}, {"id": digest(photos[3])}],
        unlike=[{"id": digest(photos[5]), "weight": 0.5}],
        limit=12,
    )
    one, two, other = (
        store.encode_query(data),
        store.encode_query(photos[3]),
        store.encode_query(photos[5]),
    )
    hits = wanted(store.query_blend([one.weighing(2), two, other.weighing(-0.5)], 12))
    assert dict(found(response)) == pytest.approx(dict(hits))
    assert len(found(response)) == 10  # those of the query are left out
    again = query(client, like=[{"id": digest(photos[3])}], include_self=True, limit=1)
    assert found(again)[0][0] == digest(photos[3])


def test_a_picture_that_is_indexed_is_known(client: httpx.Client, photos: list[Path]) -> None:
    shown = client.post("/api/uploads", content=photos[2].read_bytes(), headers=JPEG).json()
    assert shown["known"] == digest(photos[2])
    named = found(query(client, like=[{"upload": shown["upload"]}]))
    assert named == found(query(client, like=[{"id": digest(photos[2])}])) and len(named) == 11


@pytest.mark.usefixtures("anywhere")
def test_pages_make_up_the_whole(client: httpx.Client, photos: list[Path]) -> None:
    like = [{"id": digest(photos[0])}]
    whole = query(client, like=like, limit=200).json()
    assert len(whole["hits"]) == 11 and whole["more"] is False
    pages: list[Any] = []
    for offset in range(0, 11, 4):
        page = query(client, like=like, limit=4, offset=offset).json()
        assert page["more"] == (offset + 4 < 11)
        pages += page["hits"]
    assert pages == whole["hits"] and [hit["rank"] for hit in pages] == list(range(1, 12))
    assert query(client, like=like, offset=1990, limit=10).json()["hits"] == []


def test_filters(client: httpx.Client, photos: list[Path]) -> None:
    like = [{"id": digest(photos[0])}]

    def folders(**filters: object) -> set[str]:
        response = query(client, like=like, include_self=True, **filters)
        assert response.status_code == 200, response.text
        return {f"{hit['folder']}/{hit['name']}" for hit in response.json()["hits"]}

    everything = folders()
    assert len(everything) == 12 and folders(folder="") == everything
    assert folders(folder="right") == {one for one in everything if one.startswith("right/")}
    assert folders(folder="right/deep") == {one for one in everything if "deep" in one}
    assert folders(folder="righ") == folders(folder="[r]ight") == set()
    assert folders(filter=["picture000[12].png"]) == {
        "left/picture0001.png",
        "left/picture0002.png",
    }
    assert folders(folder="right", filter=["deep"]) == folders(folder="right/deep")
    assert folders(folder="right", filter=["deep/*8.png"]) == {"right/deep/picture0008.png"}
    best = query(client, like=like).json()["hits"]
    few = query(client, like=like, min_score=best[3]["score"]).json()["hits"]
    assert few == best[:4]
    for folder in ("../photos", "left/../right", "a\0b"):
        refused = query(client, like=like, folder=folder)
        assert refused.status_code == 422 and "folder" in refused.json()["error"]
    refused = query(client, like=like, filter=["/etc/*"])
    assert refused.status_code == 422 and "filter" in refused.json()["error"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name 1 to 16 pictures"),
        ({"like": []}, "name 1 to 16 pictures"),
        ({"like": [{}]}, "like.0: say either"),
        ({"like": [{"id": "0" * 64, "upload": "x"}]}, "like.0: say either"),
        ({"like": [{"id": "../../etc/passwd"}]}, "like.0.id"),
        ({"like": [{"id": "0" * 64, "weight": -1}]}, "like.0.weight"),
        ({"like": [{"id": "0" * 64}] * 17}, "name 1 to 16 pictures"),
        ({"like": [{"id": "0" * 64}], "limit": 201}, "limit"),
        ({"like": [{"id": "0" * 64}], "limit": 0}, "limit"),
        ({"like": [{"id": "0" * 64}], "offset": -1}, "offset"),
        ({"like": [{"id": "0" * 64}], "offset": 1990, "limit": 11}, "beyond the best 2,000"),
        ({"like": [{"id": "0" * 64}], "k": 3}, "k"),
        ({"like": [{"id": "0" * 64}], "filter": [""]}, "1 to 255 characters"),
    ],
)
def test_senseless_queries(client: httpx.Client, body: dict[str, Any], says: str) -> None:
    response = query(client, **body)
    assert response.status_code == 422 and list(response.json()) == ["error"]
    assert says in response.json()["error"] and "\n" not in response.json()["error"]


def test_pictures_that_cancel_each_other_out(client: httpx.Client, photos: list[Path]) -> None:
    one = [{"id": digest(photos[0])}]
    response = query(client, like=one, unlike=one)
    assert response.status_code == 422 and "cancel each other out" in response.json()["error"]


def test_what_is_not_there(client: httpx.Client) -> None:
    nobody = "0" * 64
    assert query(client, like=[{"id": nobody}]).status_code == 404
    for path in ("", "/thumbnail", "/file"):
        response = client.get(f"/api/pictures/{nobody}{path}")
        assert response.status_code == 404 and "no picture" in response.json()["error"]
    gone = query(client, like=[{"upload": "never-shown"}])
    assert gone.status_code == 410 and "upload it again" in gone.json()["error"]
    assert client.get("/api/nothing").json() == {"error": "Not Found"}
    assert client.get("/api/query").status_code == 405


def test_facts_of_a_picture(client: httpx.Client, photos: list[Path]) -> None:
    shutil.copy(photos[9], "photos/left/copy.png")
    build()
    assert client.get(f"/api/pictures/{digest(photos[9])}").json() == {
        "id": digest(photos[9]),
        "name": "copy.png",
        "folder": "left",
        "width": 40,
        "height": 30,
        "format": "PNG",
        "file_bytes": photos[9].stat().st_size,
        "paths": [
            {"folder": "left", "name": "copy.png"},
            {"folder": "right/deep", "name": "picture0009.png"},
        ],
    }


@pytest.mark.usefixtures("anywhere")
def test_pictures_to_begin_with(client: httpx.Client, photos: list[Path]) -> None:
    some = client.get("/api/random?count=5").json()["pictures"]
    ids = [one["id"] for one in some]
    assert len(set(ids)) == 5 and set(ids) <= set(map(digest, photos))
    assert len(client.get("/api/random?count=200").json()["pictures"]) == 12
    others = [client.get("/api/random?count=5").text for _ in range(5)]
    assert len(set(others)) > 1
    assert client.get("/api/random?count=201").status_code == 422


@pytest.mark.usefixtures("anywhere")
def test_thumbnails_and_originals(client: httpx.Client, photos: list[Path]) -> None:
    id = digest(photos[0])
    small = client.get(f"/api/pictures/{id}/thumbnail?side=160")
    assert small.headers["content-type"] == "image/jpeg"
    assert "immutable" in small.headers["cache-control"]
    assert Image.open(io.BytesIO(small.content)).size == (40, 30)
    etag = {"if-none-match": small.headers["etag"]}
    assert client.get(f"/api/pictures/{id}/thumbnail?side=160", headers=etag).status_code == 304
    assert client.get(f"/api/pictures/{id}/thumbnail?side=161").status_code == 422
    whole = client.get(f"/api/pictures/{id}/file")
    assert whole.content == photos[0].read_bytes()
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-disposition"] == "inline; filename*=UTF-8''picture0000.png"
    assert whole.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert whole.headers["x-content-type-options"] == "nosniff"


def test_names_of_any_bytes(client: httpx.Client, photos: list[Path]) -> None:
    odd = b'photos/left/\xff\n"odd".png'
    noise(500).save(os.fsdecode(odd))
    build()
    id = digest(Path(os.fsdecode(odd)))
    assert client.get(f"/api/pictures/{id}").json()["name"] == '\\xff\\n"odd".png'
    assert client.get(f"/api/pictures/{id}/file").headers["content-disposition"].endswith(".png")
    hits = query(client, like=[{"id": id}], include_self=True).json()["hits"]
    assert hits[0]["name"] == '\\xff\\n"odd".png'


def test_several_roots_are_told_apart(here: Path) -> None:
    for folder in ("one/photos", "two/photos"):
        fill_folder(here / folder / "deep", 2, first=len(folder) * ord(folder[0]))
    build(["one/photos", "two/photos"], recipe=Recipe("tiny", lens="none"))
    with Store.open() as store, Server(store, port=0) as server:
        client = httpx.Client(base_url=server.address.url, timeout=500, trust_env=False)
        names = [one["name"] for one in client.get("/api/info").json()["folders"]]
        assert names == ["photos", "photos (2)"]
        like = [{"id": digest(next((here / "one/photos/deep").iterdir()))}]
        for name in names:
            hits = query(client, like=like, include_self=True, folder=name).json()["hits"]
            assert {hit["folder"] for hit in hits} == {f"{name}/deep"} and len(hits) == 2
        assert str(here) not in client.get("/api/info").text
        assert query(client, like=like, folder="elsewhere").status_code == 422


def test_a_build_beside_shows_up(
    client: httpx.Client, photos: list[Path], spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    assert client.get("/api/info").json()["pictures"] == 12
    new = fill_folder(Path("photos/new"), 3, first=100)
    photos[0].unlink()
    assert spawn("build").wait(500) == 0  # torch takes its time on a busy machine
    told = client.get("/api/info").json()
    assert told["pictures"] == 14 and told["generation"] > 1
    assert told["folders"][0] == {"name": "left", "pictures": 3}
    hits = found(query(client, like=[{"id": digest(new[0])}], include_self=True))
    assert hits[0][0] == digest(new[0]) and len(hits) == 14
    assert query(client, like=[{"id": digest(new[0])}]).json()["total_pictures"] == 14


@pytest.mark.slow
def test_fifty_at_once_get_right_hits(
    client: httpx.Client, store: Store, photos: list[Path]
) -> None:
    uploads = [encoded(noise(seed, 120, 90), "JPEG") for seed in range(900, 910)]
    expected = [wanted(store.query(data, 3)) for data in uploads]
    by_id = {digest(path): wanted(store.query(path, 3)) for path in photos}
    with (
        httpx.Client(
            base_url=client.base_url,
            timeout=500,
            limits=httpx.Limits(max_connections=50),
            trust_env=False,
        ) as crowd,
        ThreadPoolExecutor(50) as people,
    ):

        def one(at: int) -> bool:
            if at % 2:
                id = list(by_id)[at % len(by_id)]
                return found(query(crowd, like=[{"id": id}], limit=3)) == by_id[id]
            data = uploads[at % len(uploads)]
            response = crowd.post("/api/query?limit=3", content=data, headers=JPEG)
            return found(response) == expected[at % len(uploads)]

        assert all(people.map(one, range(300)))
    assert client.get("/api/info").status_code == 200


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
weights = st.floats(0.1, 3) | st.integers(-2, 2) | values
ids = st.sampled_from(["0" * 64, "HELD"]) | values
parts = st.fixed_dictionaries({}, optional={"id": ids, "upload": values, "weight": weights})
patterns = st.sampled_from(["*", "[", "*/*", "[!a]*", "\ud800"]) | st.text()
folders = st.sampled_from(["left", "right/deep", "", "/", "..", "*"]) | values
query_bodies = st.fixed_dictionaries(
    {"like": st.lists(parts, max_size=3) | values},
    optional={
        "unlike": values,
        "folder": folders,
        "filter": st.lists(patterns, max_size=3) | values,
        "min_score": st.floats() | values,
        "limit": st.integers(-1, 300) | values,
        "offset": st.integers(-1, 2100) | values,
        "include_self": st.booleans() | values,
    },
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query_bodies | values)
def test_any_json_gets_a_response(client: httpx.Client, photos: list[Path], body: Any) -> None:
    text = json.dumps(body).replace('"HELD"', f'"{digest(photos[0])}"')
    response = client.post(
        "/api/query", content=text.encode(), headers={"content-type": "application/json"}
    )
    assert response.status_code in (200, 400, 404, 410, 422), response.text
    if response.status_code != 200:
        assert list(response.json()) == ["error"]


def test_the_docs_are_whole_and_need_nobody_else(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    calls = {(method, path) for path, one in document["paths"].items() for method in one}
    assert ("post", "/api/query") in calls and ("get", "/api/pictures/{id}/file") in calls
    page = client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for _, path in calls)
    assert "http" not in page.text.replace("JSON over HTTP", "") and "<script" not in page.text

    def refs(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if "$ref" in part else set()
            return own.union(*map(refs, part.values()))
        return set().union(*map(refs, part)) if isinstance(part, list) else set()

    for ref in refs(document):
        assert ref.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_metrics(client: httpx.Client, photos: list[Path]) -> None:
    query(client, like=[{"id": digest(photos[0])}])
    client.post("/api/uploads", content=b"nonsense", headers=JPEG)
    client.post("/api/uploads", content=photos[0].read_bytes(), headers=JPEG)
    text = client.get("/metrics").text
    for line in (
        'tll_index_requests_total{method="POST",route="/api/query",status="200"} 1.0',
        'tll_index_requests_total{method="POST",route="/api/uploads",status="415"} 1.0',
        'tll_index_request_seconds_count{route="/api/uploads"} 2.0',
        'tll_index_uploads_refused_total{status="415"} 1.0',
        "tll_index_pictures 12.0",
        "tll_index_uploads_remembered 1.0",
        "tll_index_decoders_lost 0.0",
    ):
        assert line in text.splitlines()
    wait_for(lambda: "tll_index_held_bytes 0.0" in client.get("/metrics").text)
    assert client.get("/healthz").text == "ok\n"


def test_a_store_without_pictures(here: Path) -> None:
    (only,) = fill_folder(here / "photos", 1)
    build(["photos"], recipe=Recipe("tiny", lens="none"))
    only.unlink()
    build(allow_empty=True)
    with Store.open() as store, Server(store, port=0) as server:
        client = httpx.Client(base_url=server.address.url, timeout=500, trust_env=False)
        told = client.get("/api/info").json()
        assert (told["pictures"], told["folders"]) == (0, [])
        assert client.get("/api/random").json() == {"pictures": []}
        response = client.post("/api/query", content=encoded(noise(1), "PNG"), headers=JPEG)
        assert response.json()["hits"] == [] and response.json()["more"] is False


def test_names_of_version_0_1_are_read(client: httpx.Client, photos: list[Path]) -> None:
    data = encoded(noise(77), "PNG")
    shown = client.post("/api/looks", content=data, headers=JPEG).json()
    assert shown["look"] == shown["upload"]
    expected = found(query(client, like=[{"upload": shown["upload"]}], filter=["left"]))
    assert len(expected) == 4
    assert found(query(client, like=[{"look": shown["look"]}], only=["left"])) == expected
    url = "/api/query?only=left&only=nothing"
    assert found(client.post(url, content=data, headers=JPEG)) == expected
    assert query(client, like=[{"look": "x", "upload": "x"}]).status_code == 422
    assert "/api/looks" not in client.get("/api/openapi.json").json()["paths"]

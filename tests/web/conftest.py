"""A store of drawn pictures, served on a real port, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from pictures import fill_folder
from tll_index import Recipe, Store, build
from tll_index.web import Options, Server

FOLDERS = ("left", "right", "right/deep")


@pytest.fixture
def photos(here: Path) -> list[Path]:
    """Twelve pictures in three folders; their store is `.tll-index` in the current folder."""
    paths = [
        path
        for at, folder in enumerate(FOLDERS)
        for path in fill_folder(here / "photos" / folder, 4, first=4 * at)
    ]
    build(["photos"], recipe=Recipe("tiny", lens="none"))
    return paths


@pytest.fixture
def store(photos: list[Path]) -> Iterator[Store]:
    """Of `photos`."""
    with Store.open() as opened:
        yield opened


@pytest.fixture
def served(store: Store) -> Iterator[Callable[..., httpx.Client]]:
    """Serve `store` in some way; a client of that server."""
    with ExitStack() as stack:

        def start(**how: object) -> httpx.Client:
            options = how.pop("options", Options())
            server = stack.enter_context(Server(store, port=0, options=options, **how))
            url = f"http://{server.address.host}:{server.address.port}"
            return stack.enter_context(httpx.Client(base_url=url, timeout=500, trust_env=False))

        yield start


@pytest.fixture
def client(served: Callable[..., httpx.Client]) -> httpx.Client:
    """Of a server as it is by default."""
    return served()

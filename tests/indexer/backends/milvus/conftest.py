"""A Milvus of the test's own, for tests of what a folder has not. What both kinds of store have is
tested where folders are (see the fixture `anywhere`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from milvus_server import Served, milvus


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It counts the calls that it gets, and fails at one of them where a test wants that."""
    with milvus(tmp_path_factory.mktemp("milvus") / "data") as served:
        yield served

"""Neighbours of every picture: those that comparing all with all would find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from tll_index import Lens, Store
from tll_index.core.config import load_settings
from tll_index.core.errors import StoreDamagedError
from tll_index.core.progress import Progress
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.embedder import Embedder, load_embedder
from tll_index.engine.search.normalize import unit
from tll_index.indexer.analysis.knn_graph import neighbourhoods
from tll_index.indexer.catalog.lmdb_writer import LmdbWriter as Writer
from tll_index.indexer.catalog.records import NUMBER, ImageRecord
from tll_index.indexer.catalog.spaces import VECTORS
from tll_index.indexer.vector_index.index_builder import IndexBuilder, IndexRequest

WIDTH = 6
_bank = unit(np.random.default_rng(5).normal(size=(9, WIDTH)).astype(np.float32))
LENS = Lens(
    "tiny",
    16,
    adaptation=np.random.default_rng(4).normal(size=(WIDTH, 16)).astype(np.float32),
    csls=HubnessCorrection(_bank, 3, 0.8),
)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """The tiny backbone with a lens whose hub penalty changes places."""
    tiny.install()
    weights = tiny.write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
    return load_embedder("tiny", load_settings(), weights=weights, lens=LENS)


def look(content: int) -> np.ndarray:
    """How made-up picture `content` looks: every fourth as the one before, so that some tie."""
    seed = content - (content % 4 == 3)
    return unit(np.random.default_rng(seed).normal(size=(1, WIDTH)).astype(np.float32))


class WeightsHolder:
    """A store, and beside it what should be in it."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        path = folder / "store"
        path.mkdir()
        self.store = Store.create(path, embedder, load_settings())
        self.numbers: dict[int, int] = {}

    def arrange(self, index: str) -> None:
        """Make the file of an index of that kind."""
        store = self.store
        file, lens = store.path / VECTORS, store.embedder.lens
        builder = IndexBuilder(
            store.catalog, file, store.about.id, store.about.dimension, lambda: lens
        )
        builder.build(IndexRequest(index, 1 << 30), Progress())

    def put(self, content: int) -> None:
        def add(writer: Writer) -> int:
            sha256 = content.to_bytes(32, "big")
            record = ImageRecord(sha256.hex(), 1, 1, "PNG", 1)
            assert LENS.csls is not None
            image = writer.add_image(sha256, record, LENS.csls.gallery(look(content))[0])
            writer.set_entry(writer.folder(b"/p"), b"%d" % content, (1, 1), image)  # type: ignore[arg-type]
            return image

        if content not in self.numbers:
            self.numbers[content] = self.store.catalog.write(add)

    def orphan(self, content: int) -> None:
        if self.numbers.pop(content, None) is not None:
            self.store.catalog.write(lambda writer: writer.remove_path(b"/p/%d" % content))

    def drop(self, content: int) -> None:
        self.orphan(content)
        self.store.catalog.write(lambda writer: writer.remove_orphans(50))

    def check(self, k: int, block: int) -> None:
        """What is found is what brute force finds."""
        contents = sorted(self.numbers, key=self.numbers.__getitem__)
        images = np.array([self.numbers[content] for content in contents], np.int64)
        looks = np.concatenate([look(content) for content in contents] or [np.empty((0, WIDTH))])
        cosines = (looks @ looks.T).astype(float).round(6)
        parts = list(neighbourhoods(self.store, k, block=block))
        assert all(len(part.images) <= block for part in parts)
        found = [image for part in parts for image in part.images.tolist()]
        assert found == images.tolist()
        rows = [row for part in parts for row in zip(part.others, part.cosines, strict=True)]
        for row, (others, scores) in enumerate(rows):
            wanted = np.sort(np.delete(cosines[row], row))[::-1][:k]
            there = others >= 0
            assert there.sum() == len(wanted) and np.isneginf(scores[~there]).all()
            assert np.allclose(scores[there], wanted, atol=2e-6)
            own = [cosines[row, images.tolist().index(other)] for other in others[there]]
            assert np.allclose(scores[there], own, atol=2e-6)
            assert len({*others[there].tolist()} - {images[row]}) == len(wanted)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "put", "drop", "orphan", "arrange"]), st.integers(0, 39)),
        max_size=40,
    ),
    index=st.sampled_from(["flat", "ivf", "hnsw"]),
    k=st.integers(1, 12),
    block=st.integers(1, 9),
)
def test_they_are_what_comparing_all_finds(
    steps: list[tuple[str, int]],
    index: str,
    k: int,
    block: int,
    embedder: Embedder,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    weights_holder = WeightsHolder(tmp_path_factory.mktemp("shelf"), embedder)
    for content in range(0, 8):
        weights_holder.put(content)
    for action, content in steps:
        if action == "arrange":
            weights_holder.arrange(index)
        else:
            getattr(weights_holder, action)(content)
    weights_holder.check(k, block)
    weights_holder.store.close()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count: int, embedder: Embedder, tmp_path: Path) -> None:
    weights_holder = WeightsHolder(tmp_path, embedder)
    for content in range(count):
        weights_holder.put(content)
    weights_holder.check(5, 3)


def test_a_lost_vector_is_said(embedder: Embedder, tmp_path: Path) -> None:
    weights_holder = WeightsHolder(tmp_path, embedder)
    for content in range(30):
        weights_holder.put(content)
    weights_holder.arrange("flat")
    lost = weights_holder.numbers[7]
    weights_holder.store.catalog.write(lambda writer: writer._delete("vectors", NUMBER.pack(lost)))
    with pytest.raises(StoreDamagedError, match="repair"):
        list(neighbourhoods(weights_holder.store, 3))

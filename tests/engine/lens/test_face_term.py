"""What two faces add to a likeness: one inner product, of query and gallery embeddings."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tll_index import Lens
from tll_index.core.errors import LensError
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.face_term import FaceTerm
from tll_index.engine.search.normalize import unit

VALUES, WIDTH = 9, 4


def some_lens(
    random: np.random.Generator,
    weight: float = 0.6,
    cost: float = 0.15,
    csls: float = 0.5,
) -> Lens:
    """Of 12 features of the whole picture, and those of a face."""

    def normal(*shape: int) -> NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float32)

    faces = FaceTerm(normal(VALUES), normal(WIDTH, VALUES), weight, cost)
    lens = Lens("x", 12 + VALUES + 1, "", normal(12), None, normal(5, 12), faces=faces)
    if not csls:
        return lens
    bank = lens.transform(some_features(random, 30))
    return lens.with_csls(HubnessCorrection(bank, 5, csls))


def some_features(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Of which about a third show no face, and some may."""
    features = random.normal(size=(count, 12 + VALUES + 1)).astype(np.float32)
    presence = random.choice([0, 0.4, 1], size=count)
    features[:, -1] = presence
    features[presence == 0, -VALUES - 1 :] = 0
    return features


def likeness(lens: Lens, one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of two pictures, as the module says it, from their features."""
    term, mean, adaptation = lens.faces, lens.mean, lens.adaptation
    assert term is not None and mean is not None and adaptation is not None

    def direction(values: NDArray[np.floating]) -> NDArray[np.float64]:
        length = np.linalg.norm(values.astype(np.float64))
        return values / length if length else values

    a, b = (direction(adaptation @ (x[:12] - mean)) for x in (one, other))
    f, g = (direction(term.adaptation @ (x[12:-1] - term.mean)) for x in (one, other))
    return float(a @ b + one[-1] * other[-1] * (term.weight * (f @ g) - term.cost))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    weight=st.floats(0.01, 3),
    cost=st.floats(0.01, 2),
    csls=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_a_score_is_what_the_formula_says(
    seed: int, weight: float, cost: float, csls: float
) -> None:
    random = np.random.default_rng(seed)
    lens = some_lens(random, weight, cost, csls)
    features = some_features(random, 12)
    queries, gallery = lens.encode_query(features), lens.encode_gallery(features)
    embeddings = lens.transform(features)
    for vectors in (queries, gallery, embeddings):
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert queries.shape == gallery.shape == (12, lens.dimension)
    wanted = np.array([[likeness(lens, a, b) for b in features] for a in features])
    assert np.allclose(lens.compared(embeddings) @ embeddings.T, wanted, atol=1e-4)
    lost: NDArray[np.floating] = np.zeros(12)
    if lens.csls is not None:
        near = np.sort(lens.compared(embeddings) @ lens.csls.bank.T, axis=1)[:, -5:]
        lost = csls * near.mean(axis=1)
    assert np.allclose(lens.scale * (queries @ gallery.T), wanted - lost, atol=1e-4)
    plain = lens.plain_query_of(embeddings)
    ratio = (plain @ gallery.T) / wanted
    assert np.allclose(ratio[np.abs(wanted) > 0.05], ratio.flat[0], rtol=2e-2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), csls=st.sampled_from([0.0, 0.5]))
def test_what_is_stored_says_what_it_was_made_from(seed: int, csls: float) -> None:
    random = np.random.default_rng(seed)
    lens = some_lens(random, csls=csls)
    embeddings = lens.transform(some_features(random, 20))
    back = lens.embeddings_of(lens.gallery_of(embeddings))
    assert np.allclose(back, embeddings, atol=2e-3)  # a filling of 0 is a root of rounding
    assert np.allclose(back[:, :-1], embeddings[:, :-1], atol=1e-6)
    assert np.allclose(lens.query_of(back), lens.query_of(embeddings), atol=2e-3)


def test_pictures_without_faces_are_compared_as_without_a_term() -> None:
    random = np.random.default_rng(0)
    lens = some_lens(random, csls=0)
    features = some_features(random, 10)
    features[:, 12:] = 0
    without = Lens("x", 12, "", lens.mean, None, lens.adaptation).transform(features[:, :12])
    scores = lens.scale * (lens.encode_query(features) @ lens.encode_gallery(features).T)
    assert np.allclose(scores, without @ without.T, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    weights=st.lists(st.sampled_from([-1.0, 0.5, 1.0, 2.0]), min_size=2, max_size=4),
)
def test_sums_are_queries_as_well(seed: int, weights: list[float]) -> None:
    random = np.random.default_rng(seed)
    lens = some_lens(random)
    embeddings = lens.transform(some_features(random, len(weights)))
    total = unit(np.array([weights], np.float32) @ embeddings)
    query = lens.query_of(total)
    assert query.shape == (1, lens.dimension) and abs(np.linalg.norm(query) - 1) < 1e-5
    doubled = unit(np.array([weights], np.float32) * 2 @ embeddings)
    assert np.allclose(lens.query_of(doubled), query, atol=1e-4)


def test_faces_add_what_they_add() -> None:
    random = np.random.default_rng(3)
    lens = some_lens(random)
    assert lens.faces is not None
    features = some_features(random, 30)
    embeddings = lens.transform(features)
    one, other = embeddings[:15], embeddings[15:]
    added = lens.faces.face_likeness(one, other)
    whole = (lens.faces.whole(one) * lens.faces.whole(other)).sum(axis=1)
    assert np.allclose(whole + added, (lens.compared(one) * other).sum(axis=1), atol=1e-5)
    assert (added[(features[:15, -1] == 0) | (features[15:, -1] == 0)] == 0).all()


def test_faces_can_be_left_out() -> None:
    random = np.random.default_rng(4)
    lens = some_lens(random)
    assert lens.faces is not None
    features = some_features(random, 20)
    embeddings = lens.transform(features)
    left_out = lens.without_faces(embeddings)
    features[:, 12:] = 0
    assert np.allclose(left_out, lens.transform(features), atol=1e-5)
    wholes = lens.faces.whole(embeddings)
    assert np.allclose(lens.compared(left_out) @ embeddings.T, wholes @ wholes.T, atol=1e-5)


def test_a_lens_with_faces_is_read_as_it_was_written() -> None:
    lens = some_lens(np.random.default_rng(1)).compact()
    file = io.BytesIO()
    lens.save(file)
    read = Lens.load(file)
    assert read.digest == lens.digest and read.dimension == lens.dimension == 5 + WIDTH + 4
    assert read.faces is not None and read.faces.weight == 0.6


def test_other_faces_are_another_lens() -> None:
    lens = some_lens(np.random.default_rng(1), csls=0)
    assert lens.faces is not None
    heavier = FaceTerm(lens.faces.mean, lens.faces.adaptation, 0.7, lens.faces.cost)
    assert replace(lens, faces=heavier).digest != lens.digest


def test_what_can_not_be_is_refused() -> None:
    mean, adaptation = np.zeros(3, np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(LensError, match="weight 0"):
        FaceTerm(mean, adaptation, 0, 0.1)
    with pytest.raises(LensError, match="mean"):
        FaceTerm(mean[:2], adaptation, 1, 0.1)
    with pytest.raises(LensError, match="not finite"):
        FaceTerm(mean, adaptation * np.float32(np.inf), 1, 0.1)

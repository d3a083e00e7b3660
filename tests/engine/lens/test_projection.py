"""What has a closed form: scaling, PCA, canonical directions. scikit-learn and NumPy say the same,
and the scale of features, which differs between backbones, plays no part."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from lookalikes import SPEC, pairs, times
from tll_index.core.errors import UsageError
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions, options_of
from tll_index.engine.lens.projection import canonical_directions, fit_projection
from tll_index.engine.lens.trainer import train_lens
from tll_index.engine.lens.training import PairFeatures
from tll_index.engine.search.normalize import unit

PAIRS, NEW = pairs(60), pairs(30, seed=1)
SCALINGS = ("value", "layer", "none")
BLOCKS = (20, 20, 40, 40)


def options(**chosen: Any) -> TrainingOptions:
    return options_of(**{"pca": 30, "outputs": 8, "epochs": 2, "lr": 1e-3, **chosen})


@cache
def of_pairs(**chosen: Any) -> Lens:
    return fitted(PAIRS, **chosen)


def fitted(some: PairFeatures, **chosen: Any) -> Lens:
    return train_lens(some, SPEC, options(**chosen)).lens


def cosines(lens: Lens, some: PairFeatures) -> np.ndarray:
    return lens.encode_query(some.left) @ lens.encode_gallery(some.right).T


# Scale


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    power=st.integers(-10, 10), scaling=st.sampled_from(SCALINGS), csls=st.sampled_from([0, 0.5])
)
def test_features_times_a_power_of_two_give_the_same_vectors(
    power: int, scaling: str, csls: float
) -> None:
    lens = of_pairs(scaling=scaling, csls=csls)
    other = fitted(times(2.0**power, PAIRS), scaling=scaling, csls=csls)
    much = times(2.0**power, NEW)
    assert np.allclose(other.encode_gallery(much.right), lens.encode_gallery(NEW.right), atol=1e-5)
    assert np.allclose(other.encode_query(much.left), lens.encode_query(NEW.left), atol=1e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    exponent=st.floats(-5, 6),
    scaling=st.sampled_from(SCALINGS),
    start=st.sampled_from(["cca", "random"]),
)
def test_features_times_any_number_give_the_same_ranking(
    exponent: float, scaling: str, start: str
) -> None:
    """Within rounding, which may also turn axes round: so it is products that are compared."""
    chosen = {"scaling": scaling, "start": start, "pca": 30 if start == "cca" else 0}
    lens, factor = of_pairs(**chosen), 10.0**exponent
    other = fitted(times(factor, PAIRS), **chosen)
    assert np.allclose(cosines(other, times(factor, NEW)), cosines(lens, NEW), atol=1e-3)


def test_layers_of_any_scale() -> None:
    """Scaled by layer, it does not matter that one pooled layer is a thousand times another; by
    value, that one value is. Unscaled, it does."""
    random = np.random.default_rng(5)
    by_block = np.repeat([1e-2, 1.0, 40.0, 7.0], BLOCKS)
    by_value = random.uniform(0.3, 3, SPEC.dimension)
    for scaling, factor, atol in (
        ("layer", by_block, 2e-3),
        ("value", by_block, 2e-3),
        ("value", by_value, 2e-2),  # a quiet value is one among those of its own layer
    ):
        lens, other = of_pairs(scaling=scaling), fitted(times(factor, PAIRS), scaling=scaling)
        assert np.allclose(cosines(other, times(factor, NEW)), cosines(lens, NEW), atol=atol)
    for scaling, factor in (("none", by_block), ("layer", by_value)):
        lens, other = of_pairs(scaling=scaling), fitted(times(factor, PAIRS), scaling=scaling)
        assert np.abs(cosines(other, times(factor, NEW)) - cosines(lens, NEW)).max() > 0.1


def test_what_each_scaling_makes_equal() -> None:
    parts = [PAIRS.left, PAIRS.right]
    variances = {
        scaling: fit_projection(parts, SPEC, options(scaling=scaling, pca=0, start="random"))
        .apply(np.concatenate(parts))
        .var(axis=0)
        for scaling in SCALINGS
    }
    for values in variances.values():
        assert values.sum() == pytest.approx(SPEC.dimension, rel=1e-3)
    edges = np.cumsum((0, *BLOCKS))
    blocks = [slice(a, b) for a, b in pairwise(edges)]
    for block in blocks:
        for scaling in ("value", "layer"):  # as much of each layer
            assert variances[scaling][block].sum() == pytest.approx(SPEC.dimension / 4, rel=0.01)
        assert variances["value"][block].std() < 0.01 * variances["value"][block].mean()
        assert variances["layer"][block].std() > 0.2 * variances["layer"][block].mean()
    raw = np.concatenate(parts).var(axis=0)
    assert np.allclose(variances["none"] / raw, (variances["none"] / raw)[0], rtol=1e-3)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("pca", [0, 20])
def test_features_that_never_vary_do_no_harm(scaling: str, pca: int) -> None:
    left, right = PAIRS.left.copy(), PAIRS.right.copy()
    for side in (left, right):
        side[:, 20:40] = 3  # a whole pooled layer
        side[:, 50:55] = -1
    lens = fitted(PairFeatures(left, right), scaling=scaling, pca=pca, start="random")
    assert np.isfinite(cosines(lens, NEW)).all()


# PCA


@pytest.mark.parametrize("scaling", SCALINGS)
def test_pca_is_sklearns(scaling: str) -> None:
    """The space that the first components span, and the variance along each, are those of the full
    decomposition."""
    left, right = PAIRS.left[:, :40], PAIRS.right[:, :40]
    spec = replace(SPEC, layers=SPEC.layers[:1])
    projection = fit_projection([left, right], spec, options(scaling=scaling, pca=32))
    rows = (np.concatenate([left, right]) - projection.mean) * projection.scale
    exact = PCA(32, svd_solver="full").fit(rows.astype(np.float64))
    components = projection.components
    assert components is not None and components.shape == (32, 40)
    ours, theirs = components.T @ components, exact.components_.T @ exact.components_
    assert np.allclose(ours, theirs, atol=1e-3)
    outputs = projection.apply(np.concatenate([left, right]))
    assert np.allclose(outputs.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(outputs.var(axis=0, ddof=1), exact.explained_variance_, rtol=1e-3)
    assert np.square(outputs).sum(axis=1).mean() == pytest.approx(32, rel=0.02)
    assert np.allclose(np.cov(outputs.T), np.diag(outputs.var(axis=0, ddof=1)), atol=1e-2)


def test_pca_also_learns_from_others() -> None:
    more = pairs(40, seed=7)
    with_more = PairFeatures(PAIRS.left, PAIRS.right, unlabelled=more.left)
    same = fitted(with_more, unlabelled=False)
    assert same.digest == fitted(PAIRS).digest != fitted(with_more).digest
    means = [fitted(some).mean for some in (PAIRS, with_more)]
    assert np.allclose(means[0], np.concatenate([PAIRS.left, PAIRS.right]).mean(0), rtol=2e-3)
    everyone = np.concatenate([PAIRS.left, PAIRS.right, more.left])
    assert np.allclose(means[1], everyone.mean(0), rtol=2e-3)


def test_half_precision_features_and_any_number_of_rows() -> None:
    halves = [side.astype(np.float16) for side in (PAIRS.left, PAIRS.right)]
    projection = fit_projection([*halves, PAIRS.left], SPEC, options())
    many = np.tile(halves[0], (20, 1))  # beyond the rows that are scaled at a time
    outputs = projection.apply(many)
    assert outputs.dtype == np.float32 and outputs.shape == (1200, 30)
    assert np.allclose(outputs, np.tile(projection.apply(halves[0]), (20, 1)), atol=1e-5)
    assert projection.components is not None
    by_hand = (many.astype(np.float32) - projection.mean) * projection.scale
    assert np.allclose(outputs, by_hand @ projection.components.T, atol=1e-4)


@pytest.mark.parametrize(("count", "most"), [(40, 80), (70, 120)])
def test_more_dimensions_than_there_are(count: int, most: int) -> None:
    some = pairs(count)
    fitted(some, pca=most)
    with pytest.raises(UsageError, match=f"can't keep {most + 1} dimensions.*--pca {most} or less"):
        fitted(some, pca=most + 1)


def test_the_projection_of_a_lens_is_this_one() -> None:
    for pca in (0, 30):
        projection = fit_projection([PAIRS.left], SPEC, options(pca=pca, start="random"))
        wide = np.random.default_rng(0).normal(size=(5, pca or SPEC.dimension)).astype(np.float32)
        lens = Lens(SPEC.name, SPEC.dimension, SPEC.layout).with_steps(
            *projection.followed_by(wide), relu=True
        )
        by_hand = unit(np.maximum(projection.apply(NEW.left) @ wide.T, 0))
        assert np.allclose(lens.transform(NEW.left), by_hand, atol=1e-4)
        assert (lens.backbone, lens.layout, lens.relu) == (SPEC.name, SPEC.layout, True)
        assert (lens.components is None) == (pca == 0)


# Canonical directions


def agreement(matrix: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    a, b = left @ matrix.T, right @ matrix.T
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


def test_directions_in_which_pairs_agree_are_found() -> None:
    """Two of twenty directions are shared, one of them more faithfully; both are quiet."""
    random = np.random.default_rng(3)
    turn = np.linalg.qr(random.normal(size=(20, 20)))[0]
    meaning = random.normal(size=(2000, 2))

    def side() -> np.ndarray:
        values = 3 * random.normal(size=(2000, 20))
        values[:, :2] = meaning + [0.2, 0.6] * random.normal(size=(2000, 2))
        return (values @ turn).astype(np.float32)

    left, right = side(), side()
    matrix = canonical_directions(left, right, 20, shrinkage=0.0, power=2.0)
    assert matrix.shape == (20, 20) and matrix.dtype == np.float32
    found = matrix[:2] / np.linalg.norm(matrix[:2], axis=1, keepdims=True)
    assert np.abs((found * turn[:2]).sum(axis=1)).min() > 0.98
    # The correlation of two noisy copies is 1 / (1 + noise²); it scales the directions.
    agreed = agreement(matrix, left, right)
    assert agreed[:2] == pytest.approx([1 / 1.04, 1 / 1.36], abs=0.03)
    assert np.abs(agreed[2:]).max() < 0.2
    sizes = (np.concatenate([left, right]) @ matrix.T).std(axis=0)
    assert sizes[:2] == pytest.approx(agreed[:2] + 0.05, abs=0.01)
    assert sizes[2:].max() < 0.25


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
def test_directions_are_those_of_the_formula(shrinkage: float, power: float) -> None:
    """They solve the generalised eigenproblem, and their common covariance is their weight."""
    left, right = (side - side.mean(0) for side in (PAIRS.left[:, :10], PAIRS.right[:, :10]))
    matrix = canonical_directions(left, right, 4, shrinkage, power).astype(np.float64)
    total = (left.T @ left + right.T @ right) / (2 * len(left))
    total = (1 - shrinkage) * total + shrinkage * np.trace(total) / 10 * np.eye(10)
    cross = left.T @ right / len(left)
    cross = (cross + cross.T) / 2
    weights = np.diag(matrix @ total @ matrix.T)
    assert np.allclose(matrix @ total @ matrix.T, np.diag(weights), atol=1e-4 * weights.max())
    values = np.diag(matrix @ cross @ matrix.T) / weights
    assert np.allclose(cross @ matrix.T, total @ matrix.T * values, atol=1e-3)
    assert (np.diff(values) < 0).all()
    assert np.allclose(weights, (np.maximum(values, 0) + 0.05) ** power, rtol=1e-3)
    best = np.linalg.eigvals(np.linalg.solve(total, cross)).real
    assert np.allclose(values, np.sort(best)[::-1][:4], atol=1e-3)


def test_a_pair_of_weight_two_is_that_pair_twice() -> None:
    left, right = PAIRS.left[:, :10], PAIRS.right[:, :10]
    weights = np.ones(len(left), np.float32)
    weights[:9] = 2
    weighted = canonical_directions(left, right, 4, 0.3, 2.0, weights)
    twice = [np.concatenate([side, side[:9]]) for side in (left, right)]
    same, other = (canonical_directions(*sides, 4, 0.3, 2.0) for sides in (twice, (left, right)))
    assert np.allclose(np.abs(weighted), np.abs(same), atol=1e-5)
    assert not np.allclose(np.abs(weighted), np.abs(other), atol=1e-3)


def test_sides_are_alike_to_the_directions() -> None:
    left, right = PAIRS.left - PAIRS.left.mean(0), PAIRS.right - PAIRS.right.mean(0)
    one, other = (
        canonical_directions(a, b, 4, 0.5, 1.0) for a, b in ((left, right), (right, left))
    )
    assert np.allclose(np.abs(one), np.abs(other), atol=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning:sklearn")
@pytest.mark.parametrize("start", ["cca", "random"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_pictures_that_are_all_the_same(start: str, shrinkage: float) -> None:
    nothing = np.zeros((5, 4), np.float32)
    assert np.isfinite(canonical_directions(nothing, nothing, 2, shrinkage, 2.0)).all()
    same = PairFeatures(np.ones_like(PAIRS.left), np.ones_like(PAIRS.right))
    lens = fitted(same, start=start, shrinkage=shrinkage)
    assert np.isfinite(cosines(lens, NEW)).all()

"""Learning what faces add: from pairs that show two, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tll_index.core.errors import UsageError
from tll_index.engine.backbones.spec import FaceNetworks
from tll_index.engine.images.decode import Geometry
from tll_index.engine.lens.face_lesson import LEAST_PAIRS
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions
from tll_index.engine.lens.trainer import train_lens
from tll_index.engine.lens.training import PairFeatures

pytest.importorskip("torch")
pytest.importorskip("sklearn")

WHOLE, VALUES = 20, 8
_NOTHING = np.zeros((2, WHOLE), np.float32)
SPEC = replace(
    PairFeatures(_NOTHING, _NOTHING).spec,
    geometry=Geometry(8, faces=32),
    faces=FaceNetworks(("0" * 64,), VALUES),
)
OPTIONS = TrainingOptions(pca=12, outputs=12, face_outputs=4, epochs=3)


def pairs(
    count: int, faces: float = 0.8, noise: float = 0.5, face_noise: float = 0.3, seed: int = 0
) -> PairFeatures:
    """Pairs whose pictures are a little alike, and whose faces are much more so."""
    random = np.random.default_rng(seed)

    def sides(width: int, noise: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        common = random.normal(size=(count, width))
        one, other = (common + noise * random.normal(size=(count, width)) for _ in range(2))
        return one.astype(np.float32), other.astype(np.float32)

    made = []
    for whole, face in zip(sides(WHOLE, 3 * noise), sides(VALUES, face_noise), strict=True):
        there = random.random(count) < faces
        face[~there] = 0
        made.append(np.hstack([whole, face, there[:, None]]).astype(np.float32))
    return PairFeatures(made[0], made[1])


def top2(lens: Lens, data: PairFeatures) -> float:
    """Among all right pictures."""
    scores = lens.encode_query(data.left) @ lens.encode_gallery(data.right).T
    better = (scores > np.diag(scores)[:, None]).sum(axis=1)
    return float((better < 2).mean())


def test_faces_help_where_both_show_one() -> None:
    """And change nothing for pairs without."""
    known, new = pairs(200), pairs(100, seed=1)
    lens = train_lens(known, SPEC, OPTIONS).lens
    assert lens.faces is not None and lens.faces.width == 4 and lens.width == 12
    assert (lens.faces.weight, lens.faces.cost) == (OPTIONS.face_weight, OPTIONS.face_cost)
    blind = [replace(one, left=one.left.copy(), right=one.right.copy()) for one in (known, new)]
    for one in blind:
        one.left[:, WHOLE:] = one.right[:, WHOLE:] = 0
    without = train_lens(blind[0], SPEC, OPTIONS).lens
    assert without.faces is None
    assert top2(lens, new) > top2(without, blind[1]) + 0.1


def test_few_pairs_with_faces_teach_nothing_about_them() -> None:
    few = pairs(60, faces=0)
    for side in (few.left, few.right):
        side[: LEAST_PAIRS - 1, WHOLE:] = 1
    lens = train_lens(few, SPEC, OPTIONS).lens
    assert lens.faces is None and lens.width == OPTIONS.outputs
    assert lens.features == SPEC.dimension
    features = few.left.copy()
    before = lens.encode_gallery(features)
    features[:, WHOLE:] = 7
    assert np.array_equal(lens.encode_gallery(features), before)  # they have no weight in it


def test_the_same_pairs_give_the_same_lens() -> None:
    one, other = (train_lens(pairs(80), SPEC, OPTIONS).lens for _ in range(2))
    assert one.digest == other.digest


@pytest.mark.parametrize(
    "change",
    [
        {"face_outputs": 3},
        {"face_shrinkage": 0.1},
        {"face_power": 0.5},
        {"face_weight": 0.3},
        {"face_cost": 0.05},
    ],
)
def test_each_option_changes_the_lens(change: dict[str, float]) -> None:
    options = OPTIONS.changed(**change)
    assert train_lens(pairs(80), SPEC, options).lens.digest != _usual()


def _usual() -> str:
    return train_lens(pairs(80), SPEC, OPTIONS).lens.digest


def test_a_soft_presence_counts_less() -> None:
    data = pairs(80)
    lens = train_lens(data, SPEC, OPTIONS).lens
    assert lens.faces is not None
    both = np.flatnonzero((data.left[:, -1] > 0) & (data.right[:, -1] > 0))[:1]
    left, right = data.left[both], data.right[both]
    whole = lens.faces.face_likeness(lens.transform(left), lens.transform(right))
    left[:, -1] = 0.5
    half = lens.faces.face_likeness(lens.transform(left), lens.transform(right))
    assert np.allclose(half, whole / 2, atol=1e-5)


def test_faces_need_room() -> None:
    with pytest.raises(UsageError, match="outputs leave nothing beside 4 of faces"):
        train_lens(pairs(80), SPEC, OPTIONS.changed(outputs=6))

"""Training and evaluation as a notebook has them: through `tll_index` alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import lookalikes
import tll_index
from pictures import noise
from tll_index import (
    Lens,
    PairFeatures,
    TrainingOptions,
    cross_validate,
    evaluate,
    fit_lens,
    load_pairs,
    options_of,
)
from tll_index.core.errors import LensError, UsageError

SMALL = TrainingOptions(pca=40, outputs=20, epochs=2)


def test_features_of_any_network() -> None:
    some, new = lookalikes.pairs(200), lookalikes.pairs(60, seed=1)
    pairs = PairFeatures(some.left, some.right)
    fit = fit_lens(pairs, SMALL)
    assert len(fit.losses) == 2 and not fit.stopped
    assert fit.lens.provenance["options"]["hubs"] == SMALL.csls
    scores = evaluate(PairFeatures(new.left, new.right), fit.lens)
    assert scores.pairs == 60 and scores.top2 > 0.3  # by chance 0.1
    validated = cross_validate(pairs, SMALL, count=4)
    assert validated.scores.pairs == 200 and len(validated.fits) == 4
    assert Lens(options=SMALL).fit(some.left, some.right).digest == fit.lens.digest


def test_a_lens_for_other_features_is_refused() -> None:
    some = lookalikes.pairs(60)
    lens = fit_lens(PairFeatures(some.left, some.right), SMALL).lens
    with pytest.raises(LensError, match="trained for 120 features, not 50"):
        evaluate(PairFeatures(some.left[:, :50], some.right[:, :50]), lens)
    with pytest.raises(LensError, match="learned nothing yet"):
        evaluate(PairFeatures(some.left, some.right), Lens())
    with pytest.raises(UsageError, match="no features of pairs"):
        fit_lens(PairFeatures(some.left, some.right[:, :50]), SMALL)


def test_a_folder_of_pairs(tmp_path: Path) -> None:
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for number in range(12):
            noise(number if side == "left" else number + 50).save(tmp_path / side / f"{number}.png")
    small = options_of(pca=8, outputs=4, epochs=1)
    data = load_pairs(tmp_path, "tiny", options=small)
    assert len(data) == 12
    lens = fit_lens(data, small).lens
    assert lens.backbone == "tiny" and lens.provenance["pairs"] == 12
    assert evaluate(data, lens).pairs == 12
    assert cross_validate(data, small, count=3).scores.pairs == 12


def test_every_export_is_there() -> None:
    for name in tll_index.__all__:
        assert getattr(tll_index, name) is not None

"""Training: it learns what pairs share, nothing where there is nothing, and the same each time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from lookalikes import SPEC, pairs
from tll_index.core.errors import UsageError
from tll_index.core.progress import Progress
from tll_index.engine.evaluation.metrics import evaluate_pairs
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import RECIPES, TrainingOptions, options_of
from tll_index.engine.lens.projection import fit_projection
from tll_index.engine.lens.pseudo_pairs import Offered
from tll_index.engine.lens.trainer import Fit, train_lens
from tll_index.engine.lens.training import PairFeatures
from tll_index.engine.search.normalize import unit

PAIRS, NEW = pairs(50), pairs(40, seed=1)


def options(**chosen: Any) -> TrainingOptions:
    return options_of(**{"pca": 20, "outputs": 8, "epochs": 3, "lr": 1e-2, **chosen})


def fit(some: PairFeatures = PAIRS, **chosen: Any) -> Fit:
    return train_lens(some, SPEC, options(**chosen))


def top2(lens: Lens, some: PairFeatures) -> float:
    return evaluate_pairs(lens.encode_query(some.left), lens.encode_gallery(some.right)).top2


def loss_by_hand(lens: Lens, some: PairFeatures, temperature: float) -> float:
    """Mean cross-entropy of each left picture's match among all right ones."""
    scores = temperature * (lens.transform(some.left) @ lens.transform(some.right).T).astype(
        np.float64
    )
    return float((np.log(np.exp(scores).sum(axis=1)) - np.diag(scores)).mean())


class Interrupt(Progress):
    """Ctrl-C at the end of an epoch, the first being 1."""

    def __init__(self, epoch: int) -> None:
        self.left = epoch

    def advance(self, count: int = 1, **figures: float) -> None:
        self.left -= count
        if not self.left:
            raise KeyboardInterrupt


class Heard(Progress):
    def __init__(self) -> None:
        self.started: list[tuple[str, int, str]] = []
        self.figures: list[dict[str, float]] = []

    def start(self, what: str, total: int, unit: str = "pictures", done: int = 0) -> None:
        self.started.append((what, total, unit))

    def advance(self, count: int = 1, **figures: float) -> None:
        self.figures.append(figures)


# What it learns


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"start": "random", "epochs": 20, "lr": 5e-2},
        {"start": "random", "epochs": 8, "lr": 2e-2, "batch": 100, "relu": True, "outputs": 64},
    ],
    ids=["ours", "from chance", "batches, relu"],
)
def test_it_learns_what_pairs_share(chosen: dict[str, Any]) -> None:
    learn, new = pairs(400), pairs(200, seed=1)
    plain = top2(Lens.plain(SPEC), new)
    trained = fit(learn, pca=60, **chosen)
    assert 0.08 < plain < 0.2
    assert top2(trained.lens, new) > 0.55
    assert trained.losses[-1] < trained.losses[0]


def test_no_epochs_is_the_start() -> None:
    trained = fit(epochs=0)
    assert trained.losses == trained.top2 == [] and not trained.stopped
    assert trained.lens.digest != fit(epochs=1).lens.digest
    learn, new = pairs(400), pairs(200, seed=1)
    assert top2(fit(learn, epochs=0, pca=60).lens, new) > 0.55
    assert top2(fit(learn, epochs=0, pca=60, start="random").lens, new) < 0.3


@pytest.mark.parametrize("direction", ["left-to-right", "both"])
@pytest.mark.parametrize("relu", [False, True])
def test_the_loss_is_the_formula(direction: str, relu: bool) -> None:
    """The loss of the first epoch is that of the start."""
    chosen = {"direction": direction, "relu": relu, "csls": 0, "start": "random", "outputs": 30}
    lens, first = fit(**chosen, epochs=0).lens, fit(**chosen, epochs=1).losses
    by_hand = loss_by_hand(lens, PAIRS, 7)
    if direction == "both":
        swapped = PairFeatures(PAIRS.right, PAIRS.left)
        by_hand = (by_hand + loss_by_hand(lens, swapped, 7)) / 2
    assert first == [pytest.approx(by_hand, abs=2e-3)]


def test_without_pca_it_is_the_formula() -> None:
    """Centred, scaled, mapped by what torch.nn.Linear might start from; then CSLS."""
    lens = fit(pca=0, start="random", epochs=0).lens
    both = np.concatenate([PAIRS.left, PAIRS.right]).astype(np.float64)
    scaled, start = [], 0
    for width in (20, 20, 40, 40):
        block = slice(start, start := start + width)
        deviation = both[:, block].std(axis=0)
        size = deviation + 1e-3 * np.sqrt(np.square(deviation).mean())
        scaled.append((NEW.left[:, block] - both[:, block].mean(axis=0)) / size / width**0.5)
    bound = SPEC.dimension**-0.5
    begin = np.random.default_rng(0).uniform(-bound, bound, (8, SPEC.dimension))
    by_hand = np.concatenate(scaled, axis=1) @ begin.T
    assert lens.components is None
    assert np.allclose(lens.transform(NEW.left), unit(by_hand), atol=3e-3)
    assert lens.csls is not None and (lens.csls.neighbours, lens.csls.weight) == (50, 0.5)
    assert np.allclose(lens.csls.bank, lens.transform(PAIRS.left), atol=1e-3)
    assert fit(pairs(30), pca=10).lens.csls.neighbours == 30  # type: ignore[union-attr]
    assert fit(csls=0).lens.csls is None


# The same each time, and otherwise where it should be


def test_a_seed_decides() -> None:
    for chosen in (
        {"start": "random"},
        {"start": "random", "batch": 20},
        {"dropout": 0.3},
    ):
        one, same, other = (fit(**chosen, seed=seed) for seed in (1, 1, 2))
        assert one.lens.digest == same.lens.digest != other.lens.digest
        assert one.losses == same.losses != other.losses


@pytest.mark.parametrize(
    "chosen",
    [{"augment": "mirror"}, {"dropout": 0.3}, {"batch": 20}, {}],
    ids=["mirror", "dropout", "batch", "nothing"],
)
def test_what_is_left_to_chance(chosen: dict[str, Any]) -> None:
    """Where nothing is learned (a learning rate of 0), losses differ between epochs by what is
    drawn anew in each of them, and between seeds."""
    mirrored = PairFeatures(PAIRS.left[:40], PAIRS.right[:40], (NEW.left, NEW.right))
    losses = [np.array(fit(mirrored, lr=0.0, seed=seed, **chosen).losses) for seed in (1, 1, 2)]
    assert (losses[0] == losses[1]).all()
    assert (np.ptp(losses[0]) > 1e-3) == bool(chosen)
    assert (np.abs(losses[0] - losses[2]).max() > 1e-3) == bool(chosen)


def test_a_random_start_is_of_the_seed() -> None:
    chosen = {"start": "random", "pca": 0, "epochs": 0}
    one, other = (fit(seed=seed, **chosen).lens.transform(NEW.left) for seed in (0, 1))
    assert np.abs(one - other).max() > 0.1


def test_steps_are_those_of_adamw_with_half_a_cosine() -> None:
    """The losses of a whole training, by a loop as one would write it."""
    chosen = {"pca": 0, "start": "random", "epochs": 6, "weight_decay": 0.1, "csls": 0}
    projection = fit_projection([PAIRS.left, PAIRS.right], SPEC, options(**chosen))
    left, right = (torch.from_numpy(projection.apply(s)) for s in (PAIRS.left, PAIRS.right))
    layer = torch.nn.Linear(SPEC.dimension, 8, bias=False)
    bound = SPEC.dimension**-0.5
    begin = np.random.default_rng(0).uniform(-bound, bound, (8, SPEC.dimension))
    layer.weight.data = torch.from_numpy(begin.astype(np.float32))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-2, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
    losses = []
    for _ in range(6):
        cosines = torch.cosine_similarity(layer(left)[:, None], layer(right)[None], dim=2)
        loss = torch.nn.functional.cross_entropy(7 * cosines, torch.arange(50))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    assert fit(**chosen).losses == pytest.approx(losses, abs=1e-3)


def test_options_change_the_lens() -> None:
    mirrored = PairFeatures(
        PAIRS.left[:40],
        PAIRS.right[:40],
        (NEW.left, NEW.right),
        pairs(9, seed=2).left,
        Offered(np.arange(4), np.array([[5, 6, 7, 8]] * 4)),
    )
    chosen: list[dict[str, Any]] = [
        {},
        {"scaling": "layer"},
        {"scaling": "none"},
        {"pca": 19},
        {"unlabelled": False},
        {"candidates": False},
        {"start": "random"},
        {"shrinkage": 0.2},
        {"power": 1.0},
        {"adaptation": "diagonal"},
        {"adaptation": "identity"},
        {"outputs": 7},
        {"relu": True},
        {"temperature": 9.0},
        {"direction": "both"},
        {"augment": "mirror"},
        {"augment": "flip"},
        {"grey": True},
        {"batch": 16},
        {"epochs": 4},
        {"lr": 2e-2},
        {"weight_decay": 1.0},
        {"dropout": 0.2},
        {"csls": 0.4},
    ]
    assert {name for one in chosen for name in one} == {
        name
        for name in options().as_dict()
        if name != "seed" and not name.startswith("face_")  # see test_face_lesson.py
    }
    digests = [fit(mirrored, **one).lens.digest for one in chosen]
    assert len(set(digests)) == len(chosen)
    # A batch of all, the four guessed pairs included, is one of however many more.
    assert fit(mirrored, batch=44).lens.digest == fit(mirrored, batch=99).lens.digest == digests[0]


def test_both_directions_know_no_sides() -> None:
    swapped = PairFeatures(PAIRS.right, PAIRS.left)
    for direction, alike in (("both", True), ("left-to-right", False)):
        one, other = (
            fit(some, direction=direction, pca=0, start="random", csls=0, epochs=8).lens
            for some in (PAIRS, swapped)
        )
        difference = np.abs(one.transform(NEW.left) - other.transform(NEW.left)).max()
        assert (difference < 3e-3) == alike


def test_relu() -> None:
    lens = fit(relu=True).lens
    assert (
        lens.relu and (lens.transform(NEW.left) >= 0).all() and (lens.transform(NEW.left) > 0).any()
    )
    assert not fit().lens.relu and (fit().lens.transform(NEW.left) < 0).any()


def test_batches() -> None:
    """Foils are of the batch alone: with two there is one, and the loss is near log 2."""
    assert fit(batch=2, start="random", temperature=0.01).losses[0] == pytest.approx(
        math.log(2), abs=0.01
    )
    assert fit(start="random", temperature=0.01).losses[0] == pytest.approx(math.log(50), abs=0.01)


def test_mirrored_pictures_that_are_the_same_teach_nothing_else() -> None:
    same = PairFeatures(PAIRS.left, PAIRS.right, (PAIRS.left, PAIRS.right))
    chosen = {"pca": 0, "start": "random"}
    lens, mirrored = fit(same, **chosen).lens, fit(same, augment="mirror", **chosen).lens
    assert np.allclose(lens.transform(NEW.left), mirrored.transform(NEW.left), atol=3e-3)
    for augment in ("mirror", "flip"):
        with pytest.raises(UsageError, match=f"{augment} needs the features of the mirrored pict"):
            fit(augment=augment)


def test_flipped_is_as_if_there_were_no_other_pictures() -> None:
    other = pairs(50, seed=1)
    only = fit(other, csls=0).lens
    flipped = fit(
        PairFeatures(PAIRS.left, PAIRS.right, (other.left, other.right)), augment="flip", csls=0
    )
    assert only.digest == flipped.lens.digest != fit(csls=0).lens.digest


def test_a_diagonal_adaptation_weighs_what_pca_gives() -> None:
    """From ones, so without epochs it is the identity; and it learns what matters."""
    learn, new = pairs(400), pairs(200, seed=1)
    chosen = {"pca": 60, "csls": 0, "lr": 0.1}
    begun, nothing, learned = (
        fit(learn, adaptation=kind, epochs=epochs, **chosen)
        for kind, epochs in (("diagonal", 0), ("identity", 40), ("diagonal", 40))
    )
    assert begun.lens.digest == nothing.lens.digest and nothing.losses == []
    assert nothing.lens.dimension == learned.lens.dimension == 60
    matrix = learned.lens.adaptation
    assert matrix is not None and (matrix == np.diag(np.diag(matrix))).all()
    assert len(set(np.diag(matrix))) > 30
    assert top2(nothing.lens, new) + 0.1 < top2(learned.lens, new)
    for kind in ("diagonal", "identity"):
        with pytest.raises(UsageError, match=f"a {kind} adaptation needs PCA"):
            fit(adaptation=kind, pca=0)


def test_validation_is_only_reported() -> None:
    heard = Heard()
    judged = train_lens(PAIRS, SPEC, options(), validation=NEW, progress=heard, name="fold 1")
    assert judged.lens.digest == fit().lens.digest and judged.losses == fit().losses
    assert fit().top2 == [] and len(judged.top2) == len(judged.validation_losses) == 3
    without = train_lens(PAIRS, SPEC, options(csls=0)).lens
    by_hand = loss_by_hand(without, NEW, 7)
    assert judged.validation_losses[-1] == pytest.approx(by_hand, abs=2e-3)
    assert judged.top2[-1] == pytest.approx(top2(without, NEW), abs=0.01)
    assert heard.started == [("fold 1", 3, "epochs")]
    assert [one["loss"] for one in heard.figures] == judged.losses
    assert [one["top2"] for one in heard.figures] == judged.top2


# Ctrl-C


@pytest.mark.parametrize("epoch", [1, 2, 5])
def test_interrupted_it_keeps_the_best(epoch: int) -> None:
    """With a learning rate at which the loss goes up and down, the lens is that of the lowest."""
    chosen = {"lr": 5.0, "epochs": 20, "csls": 0, "start": "cca", "weight_decay": 0}
    stopped = train_lens(PAIRS, SPEC, options(**chosen), progress=Interrupt(epoch))
    whole = fit(**chosen)
    assert stopped.stopped and not whole.stopped
    assert stopped.losses == whole.losses[:epoch]
    assert loss_by_hand(stopped.lens, PAIRS, 7) == pytest.approx(min(stopped.losses), abs=5e-3)
    assert whole.losses != sorted(whole.losses, reverse=True)
    if epoch == 1:
        assert stopped.lens.digest == fit(**{**chosen, "epochs": 0}).lens.digest


def test_interrupted_while_the_loss_falls_it_is_the_last_but_one() -> None:
    """The loss that is known last is that of the weights before the epoch."""
    stopped = train_lens(
        PAIRS, SPEC, options(start="random", epochs=20, csls=0), progress=Interrupt(9)
    )
    assert stopped.losses == sorted(stopped.losses, reverse=True) and len(stopped.losses) == 9
    assert loss_by_hand(stopped.lens, PAIRS, 7) == pytest.approx(stopped.losses[-1], abs=3e-3)


def test_interrupted_with_batches_and_hubs() -> None:
    stopped = train_lens(
        PAIRS, SPEC, options(batch=10, start="random", epochs=20), progress=Interrupt(7)
    )
    assert stopped.stopped and len(stopped.losses) == 7
    assert stopped.lens.csls is not None and np.isfinite(stopped.lens.encode_query(NEW.left)).all()
    assert top2(stopped.lens, PAIRS) > top2(fit(start="random", epochs=0).lens, PAIRS) + 0.1


# What can't be


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pairs(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} pairs are too few to learn from"):
        fit(PAIRS.rows(np.arange(count)))


def test_two_pairs_are_enough() -> None:
    lens = fit(PAIRS.rows(np.arange(2)), pca=4, outputs=2).lens
    assert np.isfinite(lens.encode_query(NEW.left)).all()


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"pca": -1}, "pca is -1; it must be 0 to inf"),
        ({"shrinkage": -0.1}, "shrinkage is -0.1; it must be 0 to 1"),
        ({"shrinkage": 1.1}, "shrinkage"),
        ({"shrinkage": math.nan}, "shrinkage is nan"),
        ({"power": -1.0}, "power"),
        ({"power": 11.0}, "power"),
        ({"outputs": 0}, "outputs"),
        ({"outputs": 1 << 17}, "outputs"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"batch": -1}, "batch is -1"),
        ({"batch": 1}, "a batch of 1 has no foils"),
        ({"epochs": -1}, "epochs"),
        ({"lr": -0.1}, "lr"),
        ({"weight_decay": -0.1}, "weight-decay is -0.1"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be 0 to 0.99"),
        ({"csls": -0.1}, "hubs"),
        ({"csls": 11.0}, "hubs"),
        ({"seed": -1}, "seed"),
        ({"seed": 1 << 32}, "seed"),
        ({"pca": 0, "start": "cca"}, "start cca needs PCA"),
        ({"pca": 10, "outputs": 11}, r"at most as many outputs as PCA \(10\)"),
    ],
)
def test_options_out_of_range(chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        TrainingOptions(**chosen)


def test_options_of_a_recipe() -> None:
    assert options_of() == options_of("ours") == TrainingOptions() == RECIPES["ours"]
    paper = options_of("paper", pca=None, epochs=7, lr=0.0)
    assert (paper.pca, paper.outputs, paper.relu) == (256, 1024, True)
    assert (paper.epochs, paper.lr) == (7, 0.0)  # 0 is a choice, None is none
    assert TrainingOptions(**paper.as_dict()) == paper
    with pytest.raises(UsageError, match="unknown recipe 'other'; choose one of: ours, paper"):
        options_of("other")
    with pytest.raises(UsageError, match=r"no training options \['colour'\]"):
        options_of(colour=True)
    with pytest.raises(UsageError, match="start cca needs PCA"):
        options_of(pca=0)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_recipes_work(recipe: str) -> None:
    lens = train_lens(PAIRS, SPEC, options_of(recipe, pca=40, outputs=30, epochs=1)).lens
    assert lens.dimension == (32 if recipe == "ours" else 30)
    assert lens.relu == (recipe == "paper")


def test_sides_of_unequal_length() -> None:
    with pytest.raises(UsageError, match="20 left and 19 right are not pairs"):
        fit(PairFeatures(PAIRS.left[:20], PAIRS.right[:19]))

"""The pair classifier: a body, averaged, dense + ReLU, dense(1) + sigmoid; thawed step by step.

The body is a backbone cut into stages: what stays frozen, and what may be thawed.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tll_index.core.errors import UsageError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.network import provider_of
from tll_index.engine.backbones.registry import spec_of
from tll_index.engine.backbones.weights import Weights


@dataclass(frozen=True, eq=False)
class Body:
    """A network without its top."""

    frozen: torch.nn.Module
    """(n, 3, height, width) -> maps (n, c, h, w): never trained."""
    stages: tuple[torch.nn.Module, ...]
    """What follows, in order; the last may be thawed first."""
    channels: int
    """Of the maps that the last stage gives."""


def body_of(backbone: str, weights: Weights) -> Body:
    """The body of an EfficientNet or a ResNet: all but its last two stages is `frozen`.

    Raises:
        UsageError: another kind of network.
        WeightsError: the file is damaged or of another architecture; never a random network.
    """
    spec = spec_of(backbone)
    provider = provider_of(spec)
    if not hasattr(provider, "load_whole"):
        raise UsageError(f"the pair classifier has no way to cut {backbone} into stages")
    whole: Any = provider.load_whole(spec, weights.path).eval().requires_grad_(False)
    chain = torch.nn.Sequential
    if hasattr(whole, "blocks") and hasattr(whole, "conv_head"):
        *first, before, last = whole.blocks
        return Body(
            chain(whole.conv_stem, whole.bn1, *first),
            (before, chain(last, whole.conv_head, whole.bn2)),
            whole.conv_head.out_channels,
        )
    if hasattr(whole, "layer4"):
        stem = whole.conv1, whole.bn1, whole.act1, whole.maxpool
        return Body(
            chain(*stem, whole.layer1, whole.layer2),
            (whole.layer3, whole.layer4),
            whole.num_features,
        )
    raise UsageError(f"the pair classifier has no way to cut {backbone} into stages")


@dataclass(frozen=True)
class ClassifierOptions:
    """How it is trained."""

    pairs: int = 400
    """So many of the training pairs are used (0 is all): each is looked at with all its foils."""
    epochs: tuple[int, ...] = (10, 4, 4)
    """Of each step. In the first the head learns alone, then with the last stage of the body, then
    with the last two."""
    hidden: int = 256
    """Outputs of the dense layer."""
    batch: int = 64
    lr: float = 1e-3
    """Of AdamW, while the body is frozen."""
    lr_thawed: float = 1e-4
    """From then on."""
    development: float = 0.2
    """Share of the training pairs that only choose the best epoch."""


@dataclass
class Told:
    """How training went, epoch by epoch."""

    losses: list[float] = field(default_factory=list)
    development_losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    """From 1; 0 is before the first."""


class PairClassifier:
    """Maps of the frozen part of a body -> the logit that the joined pictures are a pair."""

    def __init__(self, body: Body, options: ClassifierOptions, seed: int = 0) -> None:
        self.options = options
        self.device = next(body.frozen.parameters()).device
        self.stages = torch.nn.ModuleList(copy.deepcopy(stage) for stage in body.stages)
        self.stages.requires_grad_(False).eval()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.head = torch.nn.Sequential(
                torch.nn.Linear(body.channels, options.hidden),
                torch.nn.ReLU(),
                torch.nn.Linear(options.hidden, 1),
            ).to(self.device)
        self.random = torch.Generator().manual_seed(seed)

    def logits(self, maps: NDArray[np.float16]) -> NDArray[np.float32]:
        """(n, c, h, w) -> (n,): above 0 is a pair."""
        with torch.inference_mode():
            parts = [
                self.head(self._pooled(_tensor(maps[rows], self.device), self.stages))[:, 0].cpu()
                for rows in _batches(len(maps), self.options.batch)
            ]
        logits: NDArray[np.float32] = torch.cat(parts).numpy()
        return logits

    def train(
        self,
        maps: NDArray[np.float16],
        labels: NDArray[np.float32],
        development: tuple[NDArray[np.float16], NDArray[np.float32]],
        progress: Progress,
        name: str,
    ) -> Told:
        """Learn from maps (n, c, h, w) with labels (n,), 1 for a pair. The best epoch, by the loss
        of `development`, is what stays."""
        told, best = Told(), self._state()
        lowest = math.inf
        progress.start(name, sum(self.options.epochs), "epochs")
        for step, epochs in enumerate(self.options.epochs):
            self._restore(best)
            frozen, thawed = self._cut(step)
            inputs = self._advanced(maps, frozen, pool=not len(thawed))
            judged = self._advanced(development[0], frozen, pool=not len(thawed))
            thawed.requires_grad_(True)
            learned = [*self.head.parameters(), *thawed.parameters()]
            optimizer = torch.optim.AdamW(
                learned, self.options.lr_thawed if step else self.options.lr
            )
            for _ in range(epochs):
                told.losses.append(self._epoch(inputs, labels, thawed, optimizer))
                loss = self._loss_of(judged, development[1], thawed)
                told.development_losses.append(loss)
                if loss < lowest:
                    lowest, best = loss, self._state()
                    told.best_epoch = len(told.losses)
                progress.advance(1, loss=told.losses[-1], val_loss=loss)
            thawed.requires_grad_(False)
        self._restore(best)
        return told

    def _cut(self, step: int) -> tuple[torch.nn.ModuleList, torch.nn.ModuleList]:
        """The stages that are still frozen, and those that learn."""
        at = len(self.stages) - min(step, len(self.stages))
        return self.stages[:at], self.stages[at:]

    def _advanced(
        self, maps: NDArray[np.float16], stages: torch.nn.ModuleList, pool: bool
    ) -> NDArray[np.float16]:
        """What the stages that stay frozen make of maps: computed once, not in each epoch."""
        if not len(stages) and not pool:
            return maps
        parts = []
        with torch.inference_mode():
            for rows in _batches(len(maps), self.options.batch):
                values = _tensor(maps[rows], self.device)
                for stage in stages:
                    values = stage(values)
                parts.append((_mean(values) if pool else values).half().cpu().numpy())
        return np.concatenate(parts)

    def _epoch(
        self,
        inputs: NDArray[np.float16],
        labels: NDArray[np.float32],
        thawed: torch.nn.ModuleList,
        optimizer: torch.optim.Optimizer,
    ) -> float:
        order = torch.randperm(len(inputs), generator=self.random).numpy()
        total = 0.0
        for rows in _batches(len(order), self.options.batch):
            some = np.sort(order[rows])  # a file is read forwards
            loss = self._loss(inputs[some], labels[some], thawed)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(some)
        return total / len(order)

    def _loss_of(
        self,
        inputs: NDArray[np.float16],
        labels: NDArray[np.float32],
        thawed: torch.nn.ModuleList,
    ) -> float:
        with torch.inference_mode():
            losses = [
                self._loss(inputs[rows], labels[rows], thawed).item() * len(labels[rows])
                for rows in _batches(len(inputs), self.options.batch)
            ]
        return sum(losses) / len(inputs)

    def _loss(
        self,
        inputs: NDArray[np.float16],
        labels: NDArray[np.float32],
        thawed: torch.nn.ModuleList,
    ) -> torch.Tensor:
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = self.head(self._pooled(_tensor(inputs, self.device), thawed))[:, 0]
        return binary_cross_entropy_with_logits(logits, torch.from_numpy(labels).to(self.device))

    def _pooled(self, values: torch.Tensor, stages: torch.nn.ModuleList) -> torch.Tensor:
        for stage in stages:
            values = stage(values)
        return _mean(values)

    def _state(self) -> list[dict[str, torch.Tensor]]:
        return [copy.deepcopy(part.state_dict()) for part in (self.stages, self.head)]

    def _restore(self, state: list[dict[str, torch.Tensor]]) -> None:
        for part, values in zip((self.stages, self.head), state, strict=True):
            part.load_state_dict(values)


def _tensor(maps: NDArray[np.float16], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.array(maps, np.float32)).to(device)


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Global average pooling; values that were pooled before stay."""
    return values.mean((2, 3)) if values.ndim == 4 else values


def _batches(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]

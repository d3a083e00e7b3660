"""What the study runs: each row of the paper's tables and figures, and the paper's own number.

All of it is fixed here, before any result is seen: no row is chosen by what it scores.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tll_index.engine.backbones.registry import IN_FLOAT, BackboneSpec, Layer, register, spec_of
from tll_index.engine.images.decode import Geometry
from tll_index.engine.lens.options import RECIPES, TrainingOptions

# -- the bundled backbone, pooled as the paper pools its own, where those can't be had -------------

LAST = "efficientnet_lite0_last"
"""Only the last layer, as in the paper's baseline."""
STAGES = "efficientnet_lite0_stages"
"""The last block of each stage and the last layer, each averaged, as in the paper's adaptation."""

_BLOCKS = {"0.0": 16, "1.1": 24, "2.1": 40, "3.2": 80, "4.2": 112, "5.3": 192, "6.0": 320}


def install_stand_ins() -> None:
    """Register these two for this process. They see one centre crop of 224 px, as the network's
    authors do: one pass, where the shipped row takes two."""
    last = (Layer("conv_head", 1280),)
    stages = tuple(Layer(f"blocks.{name}", channels) for name, channels in _BLOCKS.items())
    for name, layers in ((LAST, last), (STAGES, stages + last)):
        register(_pooled(name, layers))


def _pooled(name: str, layers: tuple[Layer, ...]) -> BackboneSpec:
    shipped = spec_of(IN_FLOAT)
    geometry = Geometry(size=224, fit="crop", crop=0.875)
    return replace(shipped, name=name, layers=layers, geometry=geometry, views=(), graph=None)


# -- the rows -------------------------------------------------------------------------------------

PAPERS_OWN = "clip_rn50x4"
"""The backbone of the paper's best system; taken for its figures as well, where it names none."""

BASE = replace(RECIPES["paper"], temperature=20.0)
"""What every adaptation has but for what its row changes: PCA 256, linear to 1,024, ReLU,
temperature 20, left to right, in colour, nothing augmented."""

Kind = Literal["cosine", "adaptation", "classifier", "lists"]


@dataclass(frozen=True)
class Row:
    """One line of a table, or one curve of a figure."""

    key: str
    title: str
    kind: Kind = "adaptation"
    papers: str | None = PAPERS_OWN
    """Registry name of the backbone that the paper used; None for a row of our own."""
    stand_in: str | None = STAGES
    """The bundled backbone, pooled in a way, that runs in its place."""
    options: TrainingOptions = BASE
    """Of an adaptation, also of one on lists (a kind of its own: it learns from the pairs that the
    classifiers learn from, and ranks their lists). The other kinds heed its temperature alone."""
    foils: int = 0
    """classifier: negatives to each positive in training."""
    paper: dict[str, float] = field(default_factory=dict)
    """What the paper reports, by name of figure."""
    submits: bool = False
    """Whether a submission for Kaggle is made: trained on all pairs, rating the test split."""


@dataclass(frozen=True)
class Section:
    """A table or figure of the paper."""

    key: str
    title: str
    about: str
    """What it compares, and what the paper found."""
    rows: tuple[Row, ...]
    draws_curves: bool = False


def _changed(key: str, title: str, **change: Any) -> Row:
    return Row(key, title, options=replace(BASE, **change))


_TABLE_2 = (
    ("clip_rn50x4", "CLIP ResNet-50x4", 3.2853),
    ("clip_rn101", "CLIP ResNet-101", 3.309),
    ("clip_vit_b32", "CLIP ViT-B/32", 3.5185),
    ("resnext101_32x48d_wsl", "ResNeXt-101 32x48d WSL", 4.3058),
    ("barlow_twins", "Barlow Twins ResNet-50", 4.339),
    ("dino_resnet50", "DINO ResNet-50", 4.3802),
    ("resnet50", "ResNet-50", 4.6524),
    ("vit_b16", "ViT-B/16", 4.7055),
    ("facenet", "FaceNet", 5.1056),
)

SECTIONS = (
    Section(
        "baseline",
        "Baseline",
        "Features of a classifier and their cosine; nothing is learned from pairs.",
        (
            Row(
                "cosine",
                "VGG16, first fully connected layer, cosine",
                kind="cosine",
                papers="vgg16",
                stand_in=LAST,
                paper={"top2": 0.461},
            ),
        ),
    ),
    Section(
        "table1",
        "Table I: pair classifier",
        "Both pictures side by side are one input; a network says whether they are alike. Trained "
        "with 19 unlike pairs to each pair, or with one. The paper found that balance raises "
        "recall, and that such classifiers rank badly.",
        (
            Row(
                "classifier-1-19",
                "pair classifier, 1 : 19",
                kind="classifier",
                papers="resnet50",
                stand_in=IN_FLOAT,
                foils=19,
                paper={"accuracy": 0.682, "recall": 0.197},
            ),
            Row(
                "classifier-1-1",
                "pair classifier, 1 : 1",
                kind="classifier",
                papers="resnet50",
                stand_in=IN_FLOAT,
                foils=1,
                paper={"accuracy": 0.713, "recall": 0.547, "top2": 0.248},
            ),
            Row(
                "adaptation-on-lists",
                "adaptation, the same pairs and lists",
                kind="lists",
                papers="resnet50",
            ),
        ),
    ),
    Section(
        "table2",
        "Table II: adaptation on nine backbones",
        "The same adaptation on features of different networks: validation loss after the last "
        "epoch. The paper found CLIP far ahead.",
        (
            *(
                Row(name, title, papers=name, stand_in=None, paper={"validation_loss": loss})
                for name, title, loss in _TABLE_2
            ),
            Row(STAGES, "EfficientNet-Lite0, stages averaged", papers=None, stand_in=STAGES),
            Row(IN_FLOAT, "EfficientNet-Lite0, pooled as shipped", papers=None, stand_in=IN_FLOAT),
        ),
    ),
    Section(
        "fig3",
        "Figure 3: flipped pictures",
        "RandomHorizontalFlip with probability 1 in training. The paper found it better without.",
        (_changed("plain", "as they are"), _changed("flipped", "flipped", augment="flip")),
        draws_curves=True,
    ),
    Section(
        "fig4-pca",
        "Figure 4: PCA",
        "PCA to 256 values before the adaptation, or none. The paper found PCA better.",
        (_changed("pca-256", "PCA 256"), _changed("no-pca", "no PCA", pca=0)),
        draws_curves=True,
    ),
    Section(
        "fig4-temperature",
        "Figure 4: temperature",
        "What cosines are multiplied by before the softmax; losses of different temperatures can't "
        "be compared, top-2 can. The paper names 20.",
        tuple(
            _changed(f"t-{value}", f"temperature {value}", temperature=float(value))
            for value in (1, 2, 5, 10, 15, 20, 30, 50, 100)
        ),
        draws_curves=True,
    ),
    Section(
        "fig5-direction",
        "Figure 5: direction of the loss",
        "Left pictures choose among right ones, or both among each other. The paper found one "
        "direction better.",
        (
            _changed("one-direction", "left to right"),
            _changed("both", "both directions", direction="both"),
        ),
        draws_curves=True,
    ),
    Section(
        "fig5-adaptation",
        "Figure 5: the adaptation",
        "What follows PCA: a linear map with or without ReLU, a weight for each value (Peterson et "
        "al.), or nothing.",
        (
            _changed("relu", "linear + ReLU"),
            _changed("linear", "linear", relu=False),
            _changed("diagonal", "diagonal", adaptation="diagonal", relu=False),
            _changed("identity", "identity", adaptation="identity", relu=False),
        ),
        draws_curves=True,
    ),
    Section(
        "fig5-colour",
        "Figure 5: colour or grey",
        "Pictures in colour, or their luma alone. The paper found colour better.",
        (_changed("colour", "colour"), _changed("grey", "grey", grey=True)),
        draws_curves=True,
    ),
    Section(
        "final",
        "All improvements together",
        "The adaptation without and with what the figures recommend, and what tll-index ships. The "
        "paper's numbers are of Kaggle's test split, which has no public labels.",
        (
            Row(
                "first",
                "without: no PCA, temperature 1, both directions",
                options=replace(BASE, pca=0, temperature=1.0, direction="both"),
                paper={"top2": 0.63},
            ),
            Row("all", "with all improvements", paper={"top2": 0.699}, submits=True),
            Row(
                "shipped",
                "tll-index: its own recipe and pooling",
                papers=None,
                stand_in=IN_FLOAT,
                options=RECIPES["ours"],
                submits=True,
            ),
        ),
    ),
)


def every_row() -> list[tuple[Section, Row]]:
    """All rows, each with its section."""
    return [(section, row) for section in SECTIONS for row in section.rows]

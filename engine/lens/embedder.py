"""Backbone and lens together: what turns a picture into its vector, and which one that is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...core.config import Settings
from ...core.contracts import Features, Pixels, UnitVectors
from ...core.errors import StoreMismatchError
from ...core.paths import is_file
from ...core.wording import listed
from ..backbones.backbone import Backbone, load_backbone
from ..backbones.libraries import is_supported
from ..backbones.registry import (
    DEFAULT,
    IN_FLOAT,
    PREFERRED,
    WITHOUT_FACES,
    BackboneSpec,
    spec_of,
)
from ..backbones.weights import Weights, find
from ..images.batches import Faces
from ..images.color_modes import CONVERSION
from ..images.decode import greyed
from ..search.normalize import unit
from .identity import ModelIdentity
from .lens import Lens, find_lens


@dataclass(frozen=True)
class Embedder:
    """A backbone and its lens: pictures -> unit vectors. A store is made by one, and searched
    through the same one."""

    backbone: Backbone
    lens: Lens

    def __post_init__(self) -> None:
        self.lens.check(self.backbone.spec, self.backbone.weights.sha256)

    def encode_gallery(self, pixels: Pixels, faces: Faces | None = None) -> UnitVectors:
        """(n, size, size, 3) uint8 RGB, and the faces that were found in them (see `batch_of`) ->
        (n, d) float32 of length 1: what a store keeps."""
        return self.lens.encode_gallery(self._features(pixels, faces))

    def encode_query(self, pixels: Pixels, faces: Faces | None = None) -> UnitVectors:
        """The same of what a query searches with."""
        return self.lens.encode_query(self._features(pixels, faces))

    def embed(self, pixels: Pixels, faces: Faces | None = None) -> UnitVectors:
        """The same of how pictures look: embeddings, which may be added and subtracted before
        `Lens.query_of` makes a query of the sum. Each is what it is alone, to the last bit."""
        return self._each(self._features(pixels, faces))

    def encode_gallery_with_text(
        self, pixels: Pixels, faces: Faces | None = None
    ) -> tuple[UnitVectors, UnitVectors]:
        """`encode_gallery`, and of the same pictures (n, j) float32 of length 1: their text
        embeddings, of the same pass through the network. Only of a backbone with texts."""
        return self._with_text(pixels, faces, self.lens.encode_gallery)

    def embed_with_text(
        self, pixels: Pixels, faces: Faces | None = None
    ) -> tuple[UnitVectors, UnitVectors]:
        """`embed`, and the text embeddings beside."""
        return self._with_text(pixels, faces, self._each)

    def _each(self, features: Features) -> UnitVectors:
        """`Lens.transform` of one row at a time: a product of many differs in its last bits."""
        rows = [self.lens.transform(row[None]) for row in features]
        return np.concatenate(rows) if rows else self.lens.transform(features)

    def _with_text(
        self, pixels: Pixels, faces: Faces | None, through: Callable[[Features], UnitVectors]
    ) -> tuple[UnitVectors, UnitVectors]:
        features = self._features(pixels, faces)
        # Texts tell of colours, so a lens that sees none leaves a second pass to be made.
        coloured = self.backbone.features(pixels) if self.lens.grey else features
        joint = self.backbone.spec.joint
        assert joint is not None
        return through(features), unit(coloured[:, joint])

    def seen(self, pixels: Pixels) -> Pixels:
        """(n, size, size, 3) uint8 RGB -> the same shape: what the backbone is shown of it."""
        if self.lens.grey and len(pixels):
            return np.stack([greyed(one) for one in pixels])
        return pixels

    def seen_faces(self, faces: Faces | None) -> Faces | None:
        """The same of faces."""
        return faces and faces._replace(chips=self.seen(faces.chips))

    def _features(self, pixels: Pixels, faces: Faces | None) -> Features:
        return self.backbone.features(self.seen(pixels), self.seen_faces(faces))

    @cached_property
    def identity(self) -> ModelIdentity:
        """All that decides which vector a picture gets."""
        return identity_of(self.backbone.spec, self.backbone.weights, self.lens)


def identity_of(spec: BackboneSpec, weights: Weights, lens: Lens) -> ModelIdentity:
    """The identity that an embedder of these has, before any network is loaded."""
    conversion = spec.geometry.conversion
    # Stores of the first versions don't say so; theirs is 1.
    recipe = spec.recipe() if conversion == 1 else {**spec.recipe(), "conversion": conversion}
    return ModelIdentity(
        spec.name,
        weights.sha256,
        lens.digest if lens.trained else None,
        lens.dimension,
        recipe=recipe,
    )


@dataclass(frozen=True)
class Choice:
    """A choice of backbone: the one that `auto` took, and why, in one line."""

    backbone: str
    why: str


def choose_backbone(settings: Settings, weights: Path | None = None) -> Choice:
    """What `--backbone auto` means here: the preferred one where its weights and a lens trained
    for it are both present, otherwise the bundled one, in 8 bits unless that can't be."""
    preferred = spec_of(PREFERRED)
    missing = [
        what
        for what, present in (
            ("weights", find(preferred, settings.weights_dir)),
            ("a trained lens", find_lens(PREFERRED, settings.lens_dir)),
            ("the extra clip", is_supported(preferred)),
        )
        if not present
    ]
    if not missing:
        return Choice(PREFERRED, "its weights and a lens trained for it are here")
    instead = f"{PREFERRED} would need {listed(missing)}"
    bundled = choose_bundled(settings, weights)
    return Choice(bundled.backbone, f"{bundled.why}; {instead}")


def choose_bundled(settings: Settings, weights: Path | None = None) -> Choice:
    """The bundled network: in 8 bits and with faces, unless this user has other `weights` for it
    or has trained a lens for another, wants it computed where 8 bits are not, or wants no faces."""
    plain = WITHOUT_FACES[DEFAULT]
    if weights:
        return _in_float("weights of your own go into that")
    if settings.device not in ("auto", "cpu"):
        return _in_float(f"8 bits are not for device {settings.device}")
    if settings.runtime == "torch":
        return _in_float("8 bits are not for runtime torch")
    trained = "a lens of your own is for that"
    if settings.faces == "on" and _has_own_lens(settings, DEFAULT):
        return Choice(DEFAULT, "bundled")
    if _has_own_lens(settings, plain):
        return Choice(plain, f"bundled, without faces because {trained}")
    if _has_own_lens(settings, IN_FLOAT):
        return _in_float(trained)
    if settings.faces == "off":
        return Choice(plain, "bundled, without faces")
    return Choice(DEFAULT, "bundled")


def _in_float(why: str) -> Choice:
    return Choice(IN_FLOAT, f"bundled, in float32 because {why}")


def _has_own_lens(settings: Settings, backbone: str) -> bool:
    """Whether this user has trained one for that backbone."""
    return is_file(settings.lens_dir / f"{backbone}.npz")


def conversion_of(made_by: ModelIdentity) -> int:
    """By which rules pictures of such an identity become RGB (see `engine.images.color_modes`).

    Raises:
        StoreMismatchError: by rules that are not known here.
    """
    conversion = made_by.recipe.get("conversion", 1)
    if conversion not in range(1, CONVERSION + 1):
        raise StoreMismatchError(
            f"the store's pictures were made RGB by rules {conversion!r}, and this version knows "
            f"rules 1 to {CONVERSION}: upgrade tll-index"
        )
    return int(conversion)


def load_embedder(
    backbone: str,
    settings: Settings,
    *,
    weights: Path | None = None,
    lens: Lens | Path | str | None = None,
    conversion: int = CONVERSION,
    first: int = 0,
) -> Embedder:
    """Load a backbone and its lens.

    Args:
        first: how many pictures will come first; 0 where that is not known.
        conversion: by which rules pictures become RGB; a store goes on with those that made it.
        lens: a lens or its file; None takes the one found for this backbone, or a plain one;
            the text 'none' takes a plain one always.

    Raises:
        UsageError, WeightsError, LensError
    """
    spec_of(backbone)
    with ThreadPoolExecutor(1, "network") as beside:  # most of either needs no Python
        network = beside.submit(_prepared, backbone, weights, settings, first)
        lens = load_lens(backbone, lens, settings)
        _ = lens.digest  # which is kept
        loaded = network.result()
    if conversion != loaded.spec.geometry.conversion:
        loaded = loaded.converting(conversion)
    return Embedder(loaded, lens)


def _prepared(backbone: str, weights: Path | None, settings: Settings, first: int) -> Backbone:
    loaded = load_backbone(backbone, weights=weights, settings=settings)
    if first:
        loaded.prepare(first)
    return loaded


def load_lens(backbone: str, lens: Lens | Path | str | None, settings: Settings) -> Lens:
    """The lens that `load_embedder` takes, before any network is loaded.

    Raises:
        UsageError, LensError
    """
    spec = spec_of(backbone)
    if lens is None:
        lens = find_lens(backbone, settings.lens_dir) or "none"
    if not isinstance(lens, Lens):
        lens = Lens.plain(spec) if lens == "none" else Lens.load(lens)
    lens.check(spec)
    return lens

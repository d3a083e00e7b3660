"""The lens: PCA, a learned linear adaptation (optionally ReLU), and L2 normalisation.

    vector = unit(relu(adaptation @ (components @ (features - mean))))

Any of the three steps before the norm may be missing: a lens that was not trained is just the
norm. The method is that of Risser-Maroix et al., ICIP 2021 (arXiv 2206.01417). A lens belongs to
one backbone and one feature layout, and its file says to which.

Likeness has a direction: a query searches a gallery. With a hubness correction the query embedding
and the gallery embedding of a picture differ (see `csls`); without, they are one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from glob import escape, glob
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Features, UnitVectors
from ...core.errors import LensError, UsageError
from ...core.paths import is_file
from ..backbones.registry import BackboneSpec
from ..search.normalize import unit
from .csls import HubnessCorrection
from .face_term import BESIDE, FaceTerm
from .half_precision import as_bytes, from_bytes, rounded, rounded_map, single, smallest
from .lens_file import EARLIER_FORMAT, LENS_FORMAT, STEPS, LensFile, reading_lens, write_lens
from .options import TrainingOptions


@dataclass(frozen=True, eq=False)
class Lens:
    """A map from a backbone's features (n, D) float32 to embeddings, unit vectors (n, d) float32.

    It is an estimator in scikit-learn's manner: `Lens().fit(left, right).transform(features)`. What
    has learned is not changed any more, since stores may be using it.
    """

    backbone: str = ""
    """Registry name of the backbone whose features it reads; empty is not known."""
    features: int = 0
    """D, the length of those feature vectors; 0 is any, of a lens that has still to learn."""
    layout: str = ""
    """`BackboneSpec.layout` of those features; empty is not known."""
    mean: NDArray[np.float32] | None = None
    """(D,): what PCA subtracts."""
    components: NDArray[np.float32] | None = None
    """(P, D): PCA's rows."""
    adaptation: NDArray[np.float32] | None = None
    """(d, P), or (d, D) without PCA: the learned map, no bias."""
    relu: bool = False
    grey: bool = False
    """Whether it was trained on, and is to be shown, pictures without their colour."""
    faces: FaceTerm | None = None
    """What two faces add to a likeness: then `features` ends with those of a face and its presence,
    which the steps above don't see. None is nothing."""
    csls: HubnessCorrection | None = None
    """What over-popular gallery pictures lose; None is nothing."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """How it was made; JSON values only."""
    options: TrainingOptions = field(default_factory=TrainingOptions)
    """How `fit` is to learn. It is not saved: of a trained lens the provenance says it."""

    def __post_init__(self) -> None:
        width = self.features - (self.faces.values + 1 if self.faces else 0)
        shapes = {"mean": (width,), "components": (None, width), "adaptation": (None, None)}
        for name in STEPS:
            array = getattr(self, name)
            if array is None:
                continue
            wanted = shapes[name] if name != "adaptation" else (None, width)
            fits = len(array.shape) == len(wanted) and all(
                want in (None, have) for want, have in zip(wanted, array.shape, strict=True)
            )
            if array.dtype != np.float32 or not fits or 0 in array.shape:
                raise LensError(
                    f"lens: {name} is {array.dtype}{array.shape}, expected float32 {wanted}"
                )
            if not np.isfinite(array).all():
                raise LensError(f"lens: {name} has values that are not finite")
            if name in ("components", "adaptation"):
                width = array.shape[0]
        if self.csls is not None and self.csls.bank.shape[1] != self.width:
            raise LensError(f"lens: the bank is {self.csls.bank.shape}, expected (b, {self.width})")

    @classmethod
    def plain(cls, spec: BackboneSpec) -> Lens:
        """The lens that does not learn: features, L2-normalised."""
        return cls(backbone=spec.name, features=spec.dimension)

    def fit(self, left: NDArray[np.floating], right: NDArray[np.floating]) -> Lens:
        """Learn from the features of look-alikes, and return this lens.

        Args:
            left, right: (n, D) each, any float: row i of left and row i of right are a pair.

        Raises:
            UsageError: fewer than 2 pairs, sides that don't fit, options that don't fit them, or a
                lens that has learned already.
        """
        from .training import PairFeatures, learn

        if self.trained:
            raise UsageError("this lens has learned already; fit a new one, Lens().fit(...)")
        pairs = PairFeatures(np.asarray(left), np.asarray(right), backbone=self.backbone)
        spec = pairs.spec
        plain = Lens(self.backbone, spec.dimension, spec.layout if self.backbone else "")
        fitted, _ = learn(plain, pairs, spec, self.options)
        learned = {each.name: getattr(fitted, each.name) for each in fields(self)}
        self.__dict__.update(learned, options=self.options)  # frozen but for this once
        self.__dict__.pop("digest", None)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The training options by name, as scikit-learn asks for them."""
        return {"backbone": self.backbone, **self.options.as_dict()}

    def set_params(self, **params: Any) -> Lens:
        """Choose training options by name, and return this lens.

        Raises:
            UsageError: no such option, a value that can't be, or a lens that has learned already.
        """
        if self.trained:
            raise UsageError("this lens has learned already; choose before it does")
        backbone = params.pop("backbone", self.backbone)
        options = self.options.changed(**params)
        self.__dict__.update(backbone=backbone, options=options)
        return self

    def __sklearn_clone__(self) -> Lens:
        """The same options, nothing learned: what `sklearn.base.clone` returns."""
        return Lens(self.backbone, options=self.options)

    def with_steps(
        self,
        mean: NDArray[np.float32] | None,
        components: NDArray[np.float32] | None,
        adaptation: NDArray[np.float32] | None,
        **rest: Any,
    ) -> Lens:
        """The same lens with other steps; `rest` are other fields of it."""
        return replace(self, mean=mean, components=components, adaptation=adaptation, **rest)

    @property
    def trained(self) -> bool:
        """Whether it does more than normalise."""
        steps = (self.mean, self.components, self.adaptation, self.faces, self.csls)
        return self.relu or self.grey or any(step is not None for step in steps)

    @property
    def width(self) -> int:
        """d, the length of embeddings."""
        width = self.features
        if self.faces is not None:
            width -= self.faces.values + 1
        for array in (self.components, self.adaptation):
            if array is not None:
                width = int(array.shape[0])
        return width if self.faces is None else width + self.faces.width + BESIDE

    @property
    def dimension(self) -> int:
        """Length of the vectors that are stored and searched."""
        return self.width + (0 if self.csls is None and self.faces is None else 2)

    @property
    def scale(self) -> float:
        """A score is this times the inner product of a query embedding and a gallery embedding.
        Without hubness correction and faces it is 1 and the score a cosine."""
        if self.faces is not None:
            return self.faces.scale(self._most)
        return 1.0 if self.csls is None else self.csls.scale

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what it computes (not of its provenance), in hex."""
        hasher = hashlib.sha256(f"{self.backbone} {self.features} {self.relu} {self.grey}".encode())
        for name in STEPS:
            array = getattr(self, name)
            hasher.update(f" {name} {None if array is None else array.shape}".encode())
            if array is not None:
                hasher.update(np.ascontiguousarray(array, "<f4").ravel().data)
        if self.faces is not None:
            hasher.update(f" faces {self.faces.weight!r} {self.faces.cost!r}".encode())
            for array in (self.faces.mean, self.faces.adaptation):
                hasher.update(f" {array.shape}".encode())
                hasher.update(np.ascontiguousarray(array, "<f4").ravel().data)
        if self.csls is not None:
            hasher.update(f" hubs {self.csls.neighbours} {self.csls.weight!r}".encode())
            hasher.update(np.ascontiguousarray(self.csls.bank, "<f4").ravel().data)
        return hasher.hexdigest()

    def encode_gallery(self, features: Features) -> UnitVectors:
        """(n, D) -> (n, dimension): the vectors that a store keeps, each of length 1."""
        return self.gallery_of(self.transform(features))

    def encode_query(self, features: Features) -> UnitVectors:
        """(n, D) -> (n, dimension): the vectors that a query searches with, each of length 1."""
        return self.query_of(self.transform(features))

    def embeddings_of(self, gallery: UnitVectors) -> UnitVectors:
        """(n, dimension) stored -> (n, d): what `transform` said of the same pictures."""
        if self.faces is not None:
            return self.faces.embeddings_of(gallery, self._most)
        return gallery if self.csls is None else self.csls.embeddings_of(gallery)

    def gallery_of(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `transform` returns them -> (n, dimension): what a store keeps."""
        if self.faces is not None:
            return self.faces.gallery(embeddings, self._lost(embeddings), self._most)
        return embeddings if self.csls is None else self.csls.gallery(embeddings)

    def query_of(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `transform` returns them -> (n, dimension): what a query searches with."""
        if self.faces is not None:
            return self.faces.queries(embeddings)
        return embeddings if self.csls is None else self.csls.queries(embeddings)

    def plain_query_of(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `transform` returns them -> (n, dimension): what searches by their likeness
        alone, without any hubness correction."""
        if self.faces is not None:
            return self.faces.queries(embeddings, plain=True)
        return embeddings if self.csls is None else self.csls.plain_queries(embeddings)

    def compared(self, embeddings: UnitVectors) -> NDArray[np.float32]:
        """(n, d), as `transform` returns them -> (n, d): vectors whose inner products with
        embeddings are their likeness, which is their cosine and, where both show a face, what the
        faces add."""
        return embeddings if self.faces is None else self.faces.compared(embeddings)

    def without_faces(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `transform` returns them -> (n, d): of the same pictures as if they showed no
        face."""
        return embeddings if self.faces is None else self.faces.without(embeddings)

    def _lost(self, embeddings: UnitVectors) -> NDArray[np.floating]:
        """(n,): what pictures lose for hubness, of a lens with faces."""
        if self.csls is None:
            return np.zeros(len(embeddings))
        assert self.faces is not None
        likeness = self.compared(embeddings) @ self.csls.bank.T
        return np.clip(self.csls.weight * self.csls.nearest_mean(likeness), -self._most, self._most)

    @property
    def _most(self) -> float:
        """What a picture may lose at most, of a lens with faces."""
        assert self.faces is not None
        return 0.0 if self.csls is None else self.csls.weight * self.faces.most

    def transform(self, features: Features) -> UnitVectors:
        """(n, D) -> (n, d): embeddings, before any hubness correction; each row of length 1 (a row
        of zeros stays one, but not with faces).

        Raises:
            LensError: it has still to learn.
        """
        whole = unit(self._projected(features))
        if self.faces is None:
            return whole
        return self.faces.transform(whole, features[:, -self.faces.values - 1 :])

    def worth(self, features: Features, embeddings: UnitVectors) -> NDArray[np.floating]:
        """What each feature is worth to the likeness: the cosine of `transform(features)` and
        `embeddings`, row by row, is the sum of worth * (features - mean). Exact for these
        features; of others only the direction, for the norm (and with a ReLU what is cut off)
        depends on them. Of a lens with faces it is about the whole picture alone: the cosine of
        `FaceTerm.whole` of both, and features without those of faces.

        Args:
            features: (n, D), of one picture of each pair.
            embeddings: (n, d), of the other one, as `transform` returns it.

        Returns:
            (n, D).
        """
        values = self._projected(features)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        if self.faces is not None:
            embeddings = self.faces.whole(embeddings)
        worth = embeddings / np.where(lengths > 0, lengths, np.inf)
        if self.relu:
            worth = worth * (values > 0)
        for step in (self.adaptation, self.components):
            if step is not None:
                worth = worth @ step
        return worth

    def _projected(self, features: Features) -> NDArray[np.floating]:
        """`transform`, before the norm."""
        if not self.features:
            raise LensError("this lens has learned nothing yet: fit(left, right) comes first")
        values: NDArray[np.floating] = features
        if self.faces is not None:
            values = features[:, : -self.faces.values - 1]
        if self.mean is not None:
            values = values - self.mean
        for step in (self.components, self.adaptation):
            if step is not None:
                values = values @ step.T
        return np.maximum(values, 0) if self.relu else values

    def with_csls(self, csls: HubnessCorrection) -> Lens:
        """The same lens with a hubness correction."""
        return replace(self, csls=csls)

    def compact(self) -> Lens:
        """The same lens in less: PCA and adaptation folded into one matrix where that is smaller,
        and numbers rounded, those of long maps to bytes and others to float16, which `save` then
        writes. Its vectors differ by the rounding."""
        components, adaptation, csls = self.components, self.adaptation, self.csls
        if components is not None and adaptation is not None and len(adaptation) < len(components):
            folded: NDArray[np.float32] = adaptation @ components
            components, adaptation = None, folded
        return replace(
            self,
            mean=rounded(self.mean),
            components=rounded(components, largest=1),
            adaptation=rounded_map(adaptation),
            faces=None if self.faces is None else self.faces.rounded(),
            csls=None if csls is None else replace(csls, bank=rounded(csls.bank)),
        )

    def save(self, file: LensFile) -> None:
        """Write one .npz file without pickles, to a path or an open binary file; the same lens
        gives the same bytes. Arrays that are the same in float16 are written so."""
        header: dict[str, Any] = {
            "format": EARLIER_FORMAT,
            "backbone": self.backbone,
            "features": self.features,
            "layout": self.layout,
            "relu": self.relu,
            "grey": self.grey,
            "provenance": self.provenance,
        }
        arrays = {
            name: smallest(array) for name in STEPS if (array := getattr(self, name)) is not None
        }
        if self.adaptation is not None and (in_steps := as_bytes(self.adaptation)) is not None:
            arrays["adaptation"], arrays["adaptation_steps"] = in_steps
        if self.faces is not None:
            header["faces"] = {"weight": self.faces.weight, "cost": self.faces.cost}
            arrays["face_mean"] = smallest(self.faces.mean)
            arrays["face_adaptation"] = smallest(self.faces.adaptation)
        if self.faces is not None or "adaptation_steps" in arrays:
            header["format"] = LENS_FORMAT
        # The archive's list of members has no checksum; this has.
        header["arrays"] = list(arrays)
        if self.csls is not None:
            header["hubs"] = {"neighbours": self.csls.neighbours, "weight": self.csls.weight}
            arrays["bank"] = smallest(self.csls.bank)
        write_lens(file, header, arrays)

    @classmethod
    def load(cls, file: LensFile) -> Lens:
        """Read what `save` wrote, from a path or an open binary file that can seek.

        Raises:
            LensError: missing, damaged, not a lens, or of a newer format.
        """
        with reading_lens(file) as (header, arrays):
            csls, faces = header.get("hubs"), header.get("faces")
            steps: dict[str, Any] = {name: single(arrays[name]) for name in STEPS if name in arrays}
            if (in_steps := arrays.get("adaptation_steps")) is not None:
                steps["adaptation"] = from_bytes(arrays["adaptation"], single(in_steps))
            return cls(
                backbone=str(header["backbone"]),
                features=int(header["features"]),
                layout=str(header.get("layout", "")),
                relu=bool(header["relu"]),
                grey=bool(header.get("grey")),
                faces=faces
                and FaceTerm(
                    single(arrays["face_mean"]), single(arrays["face_adaptation"]), **faces
                ),
                csls=csls and HubnessCorrection(single(arrays["bank"]), **csls),
                provenance=dict(header["provenance"]),
                **steps,
            )

    def check(self, spec: BackboneSpec, weights_sha256: str | None = None) -> None:
        """Refuse a backbone that this lens was not made for: another one, other features of it, or
        (where given) other weights in it.

        Raises:
            LensError: says which it was made for.
        """
        if (self.backbone, self.features) != (spec.name, spec.dimension):
            raise LensError(
                f"this lens was trained for {self.backbone} ({self.features} features), not for "
                f"{spec.name} ({spec.dimension}); choose another with --lens, or --lens none"
            )
        if self.layout and self.layout != spec.layout:
            raise LensError(
                f"this lens was trained for {self.backbone} with other layers or preprocessing "
                "than this version of tll-index has; train it again, or --lens none"
            )
        trained_on = self.provenance.get("weights_sha256", weights_sha256)
        if weights_sha256 is not None and trained_on != weights_sha256:
            raise LensError(
                f"this lens was trained for other weights of {self.backbone} "
                f"({str(trained_on)[:12]}…, now {weights_sha256[:12]}…); "
                "use those with --weights, or --lens none"
            )


def find_lens(backbone: str, lens_dir: Path) -> Path | None:
    """The lens to use for a backbone: this user's own before the shipped one; None if neither."""
    path = lens_dir / f"{backbone}.npz"
    return next((one for one in (path, _shipped() / path.name) if is_file(one)), None)


def find_lenses(lens_dir: Path) -> list[Path]:
    """All lenses that are here, this user's own before the shipped ones."""
    folders = (lens_dir, _shipped())
    return [Path(one) for folder in folders for one in sorted(glob(f"{escape(str(folder))}/*.npz"))]


def _shipped() -> Path:
    return Path(__file__).resolve().parent / "shipped"

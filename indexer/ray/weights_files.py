"""Weights for workers on other machines: found there, or fetched once from where a build began."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core.atomic_files import replace_file
from ...core.cache_folder import writable_cache
from ...core.config import Settings
from ...core.errors import WeightsError
from ...core.paths import is_file
from ...engine.backbones.bundled import graph_file
from ...engine.backbones.registry import BackboneSpec
from ...engine.backbones.weights import digest, find


class WeightsHolder:
    """An actor beside the build that reads the weights file when the first worker wants it, and
    puts it among Ray's objects, whence all others get it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: Any = None

    def weights(self) -> list[Any]:
        """A reference to the file's bytes, in a list, so that it travels instead of them."""
        if self._held is None:
            import ray

            self._held = ray.put(Path(self._path).read_bytes())
        return [self._held]


def weights_there(
    spec: BackboneSpec,
    sha256: str,
    hint: Path,
    settings: Settings,
    fetched: Callable[[], bytes],
) -> Path:
    """The weights file with this digest on this machine: where it is elsewhere, where this
    machine's own are, in its cache, or else fetched into its cache.

    Raises:
        WeightsError: they can't be had, or what came has another digest.
    """
    cached = (
        writable_cache(settings.cache_dir) / "weights" / f"{spec.name}-{sha256[:24]}{hint.suffix}"
    )
    if spec.graph and sha256 == spec.sha256:
        return graph_file(spec.graph)
    for path in (hint, find(spec, settings.weights_dir), cached):
        if path is not None and is_file(path):
            with contextlib.suppress(WeightsError):  # another may be readable
                if digest(path) == sha256:
                    return path
    data = fetched()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"the weights of {spec.name} were changed since the build began")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        replace_file(cached, lambda new: new.write_bytes(data), is_cache=True)
    except OSError as error:
        raise WeightsError(f"{cached} can't be written: {error.strerror}") from None
    return cached

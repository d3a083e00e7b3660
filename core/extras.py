"""Libraries that only some commands need, and that may not be here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from types import ModuleType

from .errors import TllError
from .wording import listed

PARTS = {
    "clip": {
        "torch": "torch",
        "open_clip": "open_clip_torch",
        "timm": "timm",
        "safetensors": "safetensors",
        "huggingface_hub": "huggingface_hub",
        "onnx": "onnx",
    },
    "train": {"torch": "torch", "sklearn": "scikit-learn", "scipy": "scipy"},
    "serve": {
        "fastapi": "fastapi",
        "uvicorn": "uvicorn",
        "python_multipart": "python-multipart",
        "prometheus_client": "prometheus-client",
    },
    "watch": {"watchdog": "watchdog"},
    "tables": {"pyarrow": "pyarrow"},
    "urls": {"fsspec": "fsspec"},
    "ray": {"ray": "ray", "pyarrow": "pyarrow"},
    "milvus": {"pymilvus": "pymilvus", "milvus_lite": "milvus-lite"},
}
"""Extra -> the modules that it brings, and the package of each."""


def is_installed(module: str) -> bool:
    """Whether a top module could be imported. It is not: torch would take seconds."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return importlib.util.find_spec(module) is not None


def require_extra(name: str, what: str, modules: Iterable[str] | None = None) -> None:
    """Refuse what needs `pip install 'tll-index[name]'` where that is not installed.

    Args:
        what: it is needed for, to begin a sentence with.
        modules: those of the extra that are needed; default: all.

    Raises:
        TllError: says which packages are missing, and which extra brings them.
    """
    needed = PARTS[name] if modules is None else modules
    if missing := [PARTS[name][module] for module in needed if not is_installed(module)]:
        raise TllError(f"{what} needs {listed(missing)}: pip install 'tll-index[{name}]'")


def extra(module: str, name: str, what: str) -> ModuleType:
    """The library's `module`, which `pip install 'tll-index[name]'` brings.

    Args:
        what: it is needed for, to begin a sentence with.

    Raises:
        TllError: it isn't installed, or can't be loaded.
    """
    top = module.partition(".")[0]
    require_extra(name, what, [top])
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TllError(
            f"{what} needs {PARTS[name][top]}, which can't be loaded ({error}): "
            f"pip install 'tll-index[{name}]'"
        ) from None

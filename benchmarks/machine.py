"""Where measurements happen: the machine, the pictures, the folder for results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tll_index import __version__

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
LIBRARIES = ("numpy", "scikit-learn", "torch", "timm", "onnxruntime", "faiss-cpu", "lmdb", "pillow")


def machine(also: Iterable[str] = ()) -> dict[str, Any]:
    """What a figure depends on besides our code; JSON values only. `also`: more libraries, of
    which those that are installed are named."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "tll_index": __version__,
        "libraries": {
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
            **{name: found for name in also if (found := _installed(name))},
        },
    }


def tll_root() -> Path:
    """The folder of the Totally-Looks-Like pictures: `TLL_ROOT`, or beside the repository."""
    return Path(os.environ.get("TLL_ROOT") or ROOT.parent / "shared/data/tll")


def require_tll() -> Path:
    """The same; the program ends with one line where it is absent."""
    if not (data := tll_root()).is_dir():
        sys.exit(f"there are no Totally-Looks-Like pictures in {data}; say with TLL_ROOT where")
    return data


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cpu() -> str:
    """The model's name, where Linux says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")

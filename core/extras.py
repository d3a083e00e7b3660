"""Libraries that only some commands need, and that may not be here."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import TllError


def extra(module: str, name: str, what: str) -> ModuleType:
    """The library's `module`, which `pip install 'tll-index[name]'` brings.

    Args:
        what: it is needed for, to begin a sentence with.

    Raises:
        TllError: it isn't installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise TllError(
            f"{what} needs {package}, which can't be loaded ({error}): "
            f"pip install 'tll-index[{name}]'"
        ) from None

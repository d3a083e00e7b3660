"""What libraries would tell their makers, turned off before any of them is loaded.

ONNX Runtime decides when it is imported, the hub's library likewise: so `import tll_index` says no
first, in each process that has anything of ours, and what they start inherits it. See
docs/reliability.md for each library, and `tests/end_to_end/test_privacy.py`, which watches.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_XET_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables of ONNX Runtime (1.29 and later), of the hub's library, of what it
transfers large files with, and of Ray."""

_loading = threading.RLock()


def turn_off_reports() -> None:
    """Set the switches, whatever they were: nothing leaves the machine because nobody said no."""
    os.environ.update(SWITCHES)


def load_onnxruntime() -> Any:
    """The module `onnxruntime`, silent.

    Where somebody imported it before `tll_index`, with its telemetry on, it has written its
    device id and reports that it began; this ends what it would report of our sessions.
    """
    turn_off_reports()  # a program may have emptied its environment since
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


_TELLING = ("openvino_telemetry", "openvino.tools.ovc")
"""Parts of OpenVINO that are kept from being loaded with it: the second, which converts models,
reports that it was imported through the first. Nothing here needs either."""


def load_openvino() -> Any:
    """The module `openvino`, without what reports to its makers. It would do so when it is
    imported, whatever the environment says."""
    with _loading:
        if (loaded := sys.modules.get("openvino")) is not None:
            return loaded
        absent = [name for name in _TELLING if name not in sys.modules]
        sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: not to be had
        try:
            import openvino
        finally:
            for name in absent:
                del sys.modules[name]
    return openvino


@contextmanager
def hub_unasked() -> Iterator[None]:
    """In the block, the hub's library answers from this disk or fails. Networks and tokenizers that
    are built there may look for settings of their own on the hub; only a fetch was told to ask."""
    from .extras import is_installed

    if not is_installed("huggingface_hub"):
        yield
        return
    from huggingface_hub import constants

    with _loading:
        before = constants.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = before

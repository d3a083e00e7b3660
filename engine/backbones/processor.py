"""Whether this machine's processor is quick at whole numbers of 8 bits."""

from __future__ import annotations

import platform
from pathlib import Path

from .openvino_runtime import has_openvino
from .registry import IN_FLOAT

_QUICK = {"avx512_vnni", "avx_vnni", "amx_int8"}
"""x86's instructions that multiply and add four pairs of them at once."""


def why_slow_in_8_bits(flags: frozenset[str] | None = None) -> str:
    """Why a backbone in 8 bits is hardly faster here than in float32; empty where it is, or where
    nobody has measured it.

    Args:
        flags: the processor's features as Linux names them; None looks.
    """
    if not has_openvino():
        return f"OpenVINO is not installed, so 8 bits are hardly faster here than {IN_FLOAT}"
    flags = _flags() if flags is None else flags
    if flags and not flags & _QUICK:
        return f"this processor has no VNNI, so 8 bits are hardly faster here than {IN_FLOAT}"
    return ""


def _flags() -> frozenset[str]:
    """Those of an x86 processor on Linux; empty elsewhere."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(found.partition(":")[2].split())

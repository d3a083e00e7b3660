"""Decoder processes: the same answers as in process, and one picture lost where one dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from blas import run_on_two
from pictures import encoded, noise, png_claiming
from tll_index.core.errors import (
    DecoderFailedError,
    NotAPictureError,
    OutsidePictureError,
    TooLargePictureError,
)
from tll_index.engine.images.crops import Crop
from tll_index.engine.images.decode import Geometry, Limits, decode, thumbnail
from tll_index.indexer.decoding.decoder_process import Decoder

GEOMETRY = Geometry(32, "squash")


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    started = Decoder(GEOMETRY, Limits(), 20)
    yield started
    started.stop()


def test_the_same_as_in_process(decoder: Decoder) -> None:
    for seed, format in enumerate(("PNG", "JPEG", "WEBP", "GIF")):
        data = encoded(noise(seed, 300, 200), format)
        there, here = decoder.decode(data), decode(data, GEOMETRY)
        assert (there.pixels == here.pixels).all()
        assert (there.width, there.height, there.format) == (300, 200, format)


def test_parts_and_thumbnails_too(decoder: Decoder) -> None:
    data = encoded(noise(1, 300, 200), "PNG")
    for crop in (Crop(10, 20, 100, 90), Crop(10, 20, 30, 40, in_percent=True)):
        there, here = decoder.decode(data, crop), decode(data, GEOMETRY, crop=crop)
        assert (there.pixels == here.pixels).all() and there.width == here.width
    for side in (160, 320):
        assert decoder.thumbnail(data, side) == thumbnail(data, side)
    with pytest.raises(OutsidePictureError):
        decoder.decode(data, Crop(400, 0, 9, 9))
    with pytest.raises(NotAPictureError):
        decoder.thumbnail(b"hello", 160)


def test_failures_keep_their_types(decoder: Decoder) -> None:
    with pytest.raises(NotAPictureError):
        decoder.decode(b"hello")
    with pytest.raises(TooLargePictureError):
        decoder.decode(png_claiming(20_000, 10_000))
    assert decoder.decode(encoded(noise(1), "PNG")).width == 40  # and it lives on


@pytest.fixture(scope="module")
def large() -> bytes:
    """Long enough in the decoder (about half a second) to be killed in the middle."""
    return encoded(noise(1, 6000, 6000), "PNG")


def kill(decoder: Decoder) -> None:
    assert decoder._is_ready and decoder._process is not None
    os.kill(decoder._process.pid, signal.SIGSEGV)


def test_a_decoder_that_dies_once_is_replaced(decoder: Decoder, large: bytes) -> None:
    decoder.decode(encoded(noise(1), "PNG"))
    timer = threading.Timer(0.1, kill, (decoder,))
    timer.start()
    assert decoder.decode(large).width == 6000
    timer.join()


def test_a_picture_that_kills_decoders_is_given_up(decoder: Decoder, large: bytes) -> None:
    decoder.decode(encoded(noise(1), "PNG"))
    stop = threading.Event()

    def kill_all() -> None:
        while not stop.wait(0.1):
            with contextlib.suppress(AssertionError, ProcessLookupError):
                kill(decoder)

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(DecoderFailedError, match=r"made the decoder fail \(signal 11\)"):
            decoder.decode(large)
    finally:
        stop.set()
        killer.join()
    assert decoder.decode(encoded(noise(1), "PNG")).width == 40


@pytest.mark.parametrize(
    "answer",
    [
        "pack('<IQ', 2**32 - 1, 0)",  # a header of 4 GB
        "pack('<IQ', 2, 2**60) + b'{}'",  # pixels of an exabyte
        "pack('<IQ', 2, 0) + b'{}'",
        "pack('<IQ', 2, 0) + b'[]'",
        "pack('<IQ', 4, 0) + b'\\xff\\xfe{}'",
        'pack(\'<IQ\', 37, 0) + b\'{"error": "Exception", "message": ""}\'',
        'pack(\'<IQ\', 46, 0) + b\'{"width": 40, "height": 30, "format": "PNG"}   \'',
    ],
)
def test_a_decoder_that_talks_nonsense(answer: str) -> None:
    """Whatever a picture made of it: a real process, that answers what no decoder does."""
    decoder = Decoder(GEOMETRY, Limits(), 20)
    code = (
        "import sys; from struct import pack; out = sys.stdout.buffer\n"
        "out.write(b'ready'); out.flush(); sys.stdin.buffer.read(13)\n"
        f"out.write({answer}); out.flush(); sys.stdin.read()"
    )
    decoder._command = [sys.executable, "-S", "-c", code]
    for at, ask in enumerate((decoder.decode, lambda data: decoder.thumbnail(data, 160)), 1):
        with pytest.raises(DecoderFailedError, match="a senseless answer"):
            ask(encoded(noise(1), "PNG"))
        assert decoder.pid is None and decoder.started == 2 * at


def test_a_hanging_decoder_is_replaced() -> None:
    decoder = Decoder(GEOMETRY, Limits(), 3)
    assert decoder.decode(encoded(noise(1), "PNG")).width == 40
    assert decoder._process is not None
    os.kill(decoder._process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(DecoderFailedError, match="no answer in time"):
        decoder.decode(encoded(noise(1), "PNG"))
    assert time.monotonic() - started < 10
    assert decoder.decode(encoded(noise(1), "PNG")).width == 40
    decoder.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="its memory is known from /proc")
def test_a_decoder_that_grew_too_much_is_replaced() -> None:
    decoder = Decoder(GEOMETRY, Limits(), 20)
    # As one in which a library loses 100 MB with each picture.
    code = (
        "import sys; from tll_index.indexer.decoding import decoder_process as decoders\n"
        "lost = []\n"
        "class Leaking(decoders.ResourceLimits):\n"
        "    def end(self):\n"
        "        lost.append(bytearray(100 << 20))\n"
        "        return super().end()\n"
        "decoders.ResourceLimits = Leaking; decoders.main()"
    )
    decoder._command = [sys.executable, "-c", code, decoder._command[-1]]
    for seed in range(5):
        assert decoder.decode(encoded(noise(seed), "PNG")).width == 40
    assert decoder.started == 3
    decoder.stop()


def test_it_ends_with_its_parent() -> None:
    """Killed without a chance to tidy up, a parent leaves no decoder behind."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\n"
            "from tll_index.engine.images.decode import Geometry, Limits\n"
            "from tll_index.indexer.decoding.decoder_process import Decoder\n"
            "decoder = Decoder(Geometry(32), Limits(), 9); decoder.start()\n"
            "print(decoder._process.pid, flush=True); time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not _is_running(child):
            return
        time.sleep(0.1)
    pytest.fail("the decoder lives on")


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except OSError:
        return False


def test_pixels_can_be_stacked(decoder: Decoder) -> None:
    pictures = [decoder.decode(encoded(noise(seed), "PNG")).pixels for seed in range(3)]
    assert np.stack(pictures).shape == (3, 32, 32, 3)


THREADS = """
import scipy.linalg
from blas import threads
from tll_index.engine.images.decode import Geometry, Limits
from tll_index.indexer.decoding.decoder_process import Decoder
from tll_index.indexer.decoding.pipeline import Pipeline

assert set(threads()) == {2}, threads()
with Pipeline([Decoder(Geometry(size=32), Limits(), 9)], Limits(), depth=1):
    assert set(threads()) == {1}, threads()
assert set(threads()) == {2}, threads()
"""


def test_openblas_waits_for_nobody_meanwhile() -> None:
    run_on_two(THREADS)

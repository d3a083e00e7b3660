"""Decoder processes: pictures are decoded where a crash, a hang or a hoard costs one picture.

Each is a plain child process that reads requests from its standard input and answers on its
standard output; when the parent goes away, however it goes, its input ends and so does it. What it
may use is limited (`fence.py`), and what it says is not believed unless it makes sense. Raw bytes
travel, never pickles:

    once      the child: "ready"
    request   length, then the picture file's bytes
    answer    length of header, length of pixels; header (JSON); pixels (size x size x 3)
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import struct
import subprocess
import sys
import time
from dataclasses import asdict
from typing import IO, Any

import numpy as np

from ..engine.decode import Geometry, Limits, Picture, decode, without_threads
from ..errors import DecoderFailedError, PictureError, TllError
from .children import command
from .fence import OUT_OF_TIME, Fence

_REQUEST = struct.Struct("<Q")
_ANSWER = struct.Struct("<IQ")
_READY = b"ready"
_START_SECONDS = 60
_LONGEST_HEADER = 1 << 16


_FAILURES = {kind.__name__: kind for kind in PictureError.__subclasses__()}


class _Died(Exception):  # noqa: N818
    """The process ended, or talks nonsense."""


class _Hangs(Exception):  # noqa: N818
    """The process did not answer in time."""


class Decoder:
    """One decoder process, started on first use and replaced when it dies. For one thread."""

    def __init__(self, geometry: Geometry, limits: Limits, seconds: float) -> None:
        """`seconds` are for the largest picture; for smaller ones the process takes less."""
        self._command = command(__name__, [asdict(geometry), asdict(limits), seconds])
        self._size = geometry.size
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._is_over = False
        self.started = 0
        """How many processes it had so far."""

    @property
    def pid(self) -> int | None:
        """Of its process, where one runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process if it isn't running.

        Raises:
            TllError: it can't be.
        """
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,  # decoder libraries grumble there
                    # Ctrl-C in a terminal goes to the whole group: here the parent decides.
                    start_new_session=True,
                )
            except OSError as error:  # no memory, or no more processes
                raise TllError(
                    f"decoder processes can't be started here ({error.strerror})"
                ) from None
            self.started += 1
            if self._is_over:
                self._process.kill()
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
            try:
                _receive(self._process, len(_READY), time.monotonic() + _START_SECONDS)
            except (_Died, _Hangs) as error:
                self.stop()
                raise TllError(f"decoder processes can't be started here ({error})") from None
            self._is_ready = True

    def decode(self, data: bytes) -> Picture:
        """`engine.decode.decode`, over there.

        Raises:
            PictureError: as `decode`; also where the decoder hung on this picture, or crashed
                twice (once may be chance: the system was short of memory, say).
        """
        try:
            try:
                return self._ask(data)
            except _Died:
                if self._is_over:
                    raise
                self.stop()
                return self._ask(data)
        except (_Died, _Hangs) as error:
            self.stop()
            raise DecoderFailedError(f"made the decoder fail ({error})") from None

    def kill(self) -> None:
        """End the process now and for good, from any thread: whoever waits for it gets an error."""
        self._is_over = True
        if (process := self._process) is not None:
            process.kill()

    def stop(self) -> None:
        """End the process and let go of its pipes."""
        if self._process is not None:
            process, self._process = self._process, None
            self._is_ready = False
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _ask(self, data: bytes) -> Picture:
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + self._seconds
        _send(process, _REQUEST.pack(len(data)), deadline)
        _send(process, data, deadline)
        header_size, pixel_size = _ANSWER.unpack(_receive(process, _ANSWER.size, deadline))
        if header_size > _LONGEST_HEADER or pixel_size not in (0, 3 * self._size**2):
            raise _Died("a senseless answer")
        header = _receive(process, header_size, deadline)
        return _answer(header, _receive(process, pixel_size, deadline), self._size)


def _answer(header: bytes, pixels: bytes, size: int) -> Picture:
    """Raises the `PictureError` that it tells of; `_Died` where it makes no sense."""
    try:
        told: dict[str, Any] = json.loads(header)
        if kind := told.get("error"):
            failure: PictureError = _FAILURES[kind](told["message"])
        else:
            square = np.frombuffer(pixels, np.uint8).reshape(size, size, 3)
            return Picture(square, int(told["width"]), int(told["height"]), str(told["format"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _Died("a senseless answer") from None
    raise failure


def _send(process: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
    assert process.stdin is not None
    descriptor = process.stdin.fileno()
    rest = memoryview(data)
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_WRITE)
        while rest:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _Hangs("no answer in time")
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BrokenPipeError:
                raise _end_of(process) from None


def _receive(process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while size:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _Hangs("no answer in time")
            part = os.read(descriptor, size)
            if not part:
                raise _end_of(process)
            parts.append(part)
            size -= len(part)
    return b"".join(parts)


def _end_of(process: subprocess.Popen[bytes]) -> _Died | _Hangs:
    code = process.wait()
    if code == -OUT_OF_TIME:
        return _Hangs("no answer in time")
    return _Died(f"signal {-code}" if code < 0 else f"exit status {code}")


# -- the child ---------------------------------------------------------------


def serve(
    requests: IO[bytes], answers: IO[bytes], geometry: Geometry, limits: Limits, fence: Fence
) -> None:
    """Answer requests until there are no more, or until this process has grown too much."""
    is_fit = True
    while is_fit and (length := requests.read(_REQUEST.size)):
        (size,) = _REQUEST.unpack(length)
        fence.begin(size)
        pixels = b""
        header: dict[str, Any]
        try:
            picture = decode(requests.read(size), geometry, limits, fence.sized)
        except PictureError as error:
            header = {"error": type(error).__name__, "message": error.message}
        else:
            pixels = picture.pixels.tobytes()
            header = {
                "width": picture.width,
                "height": picture.height,
                "format": picture.format,
            }
        is_fit = fence.end()
        text = json.dumps(header).encode()
        answers.write(_ANSWER.pack(len(text), len(pixels)) + text + pixels)
        answers.flush()


def main() -> None:
    """Be a decoder process."""
    geometry, limits, seconds = json.loads(sys.argv[1])
    without_threads()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder library prints must not get among the answers
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        fence = Fence(Limits(**limits), seconds)
        answers.write(_READY)
        answers.flush()
        serve(sys.stdin.buffer, answers, Geometry(**geometry), Limits(**limits), fence)
    os._exit(0)

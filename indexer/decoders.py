"""Decoder processes: pictures are decoded where a crash, a hang or a hoard costs one picture.

Each is a plain child process that reads requests from its standard input and answers on its
standard output; when the parent goes away, however it goes, its input ends and so does it.
Raw bytes travel, never pickles:

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

from .. import errors
from ..engine.decode import Geometry, Limits, Picture, decode
from ..errors import DecoderFailedError, PictureError, TllError
from .children import command

_REQUEST = struct.Struct("<Q")
_ANSWER = struct.Struct("<IQ")
_READY = b"ready"
_START_SECONDS = 60


class _Died(Exception):  # noqa: N818
    """The process ended."""


class _Hangs(Exception):  # noqa: N818
    """The process did not answer in time."""


class Decoder:
    """One decoder process, started on first use and replaced when it dies. For one thread."""

    def __init__(self, geometry: Geometry, limits: Limits, seconds: float) -> None:
        self._command = command(__name__, [asdict(geometry), asdict(limits)])
        self._size = geometry.size
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    def start(self) -> None:
        """Start the process if it isn't running."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # decoder libraries grumble there
                # Ctrl-C in a terminal goes to the whole group: here the parent decides.
                start_new_session=True,
            )
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
                header, pixels = self._ask(data)
            except _Died:
                self.stop()
                header, pixels = self._ask(data)
        except (_Died, _Hangs) as error:
            self.stop()
            raise DecoderFailedError(f"made the decoder fail ({error})") from None
        if name := header.get("error"):
            raise getattr(errors, name)(header["message"])
        picture = np.frombuffer(pixels, np.uint8).reshape(self._size, self._size, 3)
        return Picture(picture, header["width"], header["height"], header["format"])

    def kill(self) -> None:
        """End the process now, from any thread: whoever waits for it gets an error."""
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

    def _ask(self, data: bytes) -> tuple[dict[str, Any], bytes]:
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + self._seconds
        _send(process, _REQUEST.pack(len(data)) + data, deadline)
        header_size, pixel_size = _ANSWER.unpack(_receive(process, _ANSWER.size, deadline))
        header = json.loads(_receive(process, header_size, deadline))
        return header, _receive(process, pixel_size, deadline)


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
                raise _Died(_how_it_ended(process)) from None


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
                raise _Died(_how_it_ended(process))
            parts.append(part)
            size -= len(part)
    return b"".join(parts)


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    return f"signal {-code}" if code < 0 else f"exit status {code}"


# -- the child ---------------------------------------------------------------


def serve(requests: IO[bytes], answers: IO[bytes], geometry: Geometry, limits: Limits) -> None:
    """Answer requests until there are no more."""
    while length := requests.read(_REQUEST.size):
        data = requests.read(_REQUEST.unpack(length)[0])
        pixels = b""
        header: dict[str, Any]
        try:
            picture = decode(data, geometry, limits)
        except PictureError as error:
            header = {"error": type(error).__name__, "message": error.message}
        else:
            pixels = picture.pixels.tobytes()
            header = {
                "width": picture.width,
                "height": picture.height,
                "format": picture.format,
            }
        text = json.dumps(header).encode()
        answers.write(_ANSWER.pack(len(text), len(pixels)) + text + pixels)
        answers.flush()


def main() -> None:
    """Be a decoder process."""
    geometry, limits = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder library prints must not get among the answers
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        answers.write(_READY)
        answers.flush()
        serve(sys.stdin.buffer, answers, Geometry(**geometry), Limits(**limits))
    os._exit(0)

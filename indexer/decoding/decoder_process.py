"""Decoder processes: pictures are decoded where a crash, a hang or a hoard costs one picture.

Each is a plain child process that reads requests from its standard input and replies on its
standard output; when the parent goes away, however it goes, its input ends and so does it. What it
may use is limited (`rlimits.py`), and what it says is not believed unless it makes sense. Raw
bytes travel, never pickles:

    once      the child: "ready"
    request   length of task, length of file; task (JSON: crop, or side of a thumbnail); the file
    reply     length of header, length of body; header (JSON); body: pixels (size x size x 3) and
              those of a face that was found; where a thumbnail was requested, its file
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
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any, TypeVar

import numpy as np

from ...core.child_processes import command, one_thread
from ...core.errors import DecoderFailedError, PictureError, TllError
from ...engine.faces.alignment import SIDE as FACE_SIDE
from ...engine.faces.detector import face_detector
from ...engine.images.crops import Crop
from ...engine.images.decode import (
    FaceChip,
    Geometry,
    Limits,
    Picture,
    decode,
    thumbnail,
    without_threads,
)
from .rlimits import OUT_OF_TIME, ResourceLimits

_T = TypeVar("_T")
_REQUEST = struct.Struct("<IQ")
_REPLY = struct.Struct("<IQ")
_READY = b"ready"
_START_SECONDS = 60
_LONGEST_HEADER = 1 << 16
_BESIDE_PIXELS = 1 << 17
"""Bytes that a thumbnail's file may have besides those of its pixels: tables, a comment."""

_SENSELESS = "a senseless answer"
_FAILURES = {kind.__name__: kind for kind in PictureError.__subclasses__()}


class _Died(Exception):  # noqa: N818
    """The process ended, or talks nonsense."""


class _Hangs(Exception):  # noqa: N818
    """The process did not reply in time."""


class Decoder:
    """One decoder process, started on first use and replaced when it dies. For one thread."""

    def __init__(self, geometry: Geometry, limits: Limits, seconds: float) -> None:
        """`seconds` are for the largest picture; for smaller ones the process takes less."""
        self._command = command(__name__, [asdict(geometry), asdict(limits), seconds])
        self._size = geometry.size
        self._face = FACE_SIDE if geometry.faces else 0
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
                    env=one_thread(),
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

    def decode(self, data: bytes, crop: Crop | None = None) -> Picture:
        """`engine.decode.decode`, over there.

        Raises:
            PictureError: as `decode`; also where the decoder hung on this picture, or crashed
                twice (once may be chance: the system was short of memory, say).
        """
        return self._twice(lambda: self._picture(data, crop))

    def thumbnail(self, data: bytes, side: int) -> bytes:
        """`engine.decode.thumbnail`, over there.

        Raises:
            PictureError: as `decode`.
        """
        most = 3 * side**2 + _BESIDE_PIXELS
        return self._twice(lambda: self._request(data, {"side": side}, 1, most)[1])

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

    def _twice(self, request: Callable[[], _T]) -> _T:
        try:
            try:
                return request()
            except _Died:
                if self._is_over:
                    raise
                self.stop()
                return request()
        except (_Died, _Hangs) as error:
            self.stop()
            raise DecoderFailedError(f"made the decoder fail ({error})") from None

    def _picture(self, data: bytes, crop: Crop | None) -> Picture:
        size, more = 3 * self._size**2, 3 * self._face**2
        task = {} if crop is None else {"crop": asdict(crop)}
        told, body = self._request(data, task, size, size + more)
        square = np.frombuffer(body, np.uint8, size).reshape(self._size, self._size, 3)
        try:
            left, top, right, bottom = map(float, told["box"])
            return Picture(
                square,
                int(told["width"]),
                int(told["height"]),
                str(told["format"]),
                (left, top, right, bottom),
                self._face_chip(told, body[size:]),
            )
        except (ValueError, LookupError, TypeError):
            raise _Died(_SENSELESS) from None

    def _face_chip(self, told: dict[str, Any], pixels: bytes) -> FaceChip | None:
        if not pixels:
            return None
        chip = np.frombuffer(pixels, np.uint8).reshape(self._face, self._face, 3)
        score, (left, top, right, bottom) = float(told["face"]["score"]), told["face"]["box"]
        if not 0 <= score <= 1:
            raise ValueError(score)
        return FaceChip(chip, score, (float(left), float(top), float(right), float(bottom)))

    def _request(
        self, data: bytes, task: dict[str, Any], least: int, most: int
    ) -> tuple[dict[str, Any], bytes]:
        """Header and body of the reply; a body has `least` to `most` bytes.

        Raises:
            PictureError: the reply is that.
            _Died, _Hangs
        """
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + self._seconds
        text = json.dumps(task).encode()
        _send(process, _REQUEST.pack(len(text), len(data)) + text, deadline)
        _send(process, data, deadline)
        header_size, body_size = _REPLY.unpack(_receive(process, _REPLY.size, deadline))
        if header_size > _LONGEST_HEADER or not (body_size == 0 or least <= body_size <= most):
            raise _Died(_SENSELESS)
        told = _header(_receive(process, header_size, deadline))
        if not body_size:
            raise _failure(told)
        return told, _receive(process, body_size, deadline)


def _header(text: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        if isinstance(told := json.loads(text), dict):
            return told
    raise _Died(_SENSELESS)


def _failure(told: dict[str, Any]) -> PictureError | _Died:
    try:
        return _FAILURES[told["error"]](told["message"])
    except (LookupError, TypeError):
        return _Died(_SENSELESS)


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
    requests: IO[bytes],
    replies: IO[bytes],
    geometry: Geometry,
    limits: Limits,
    resources: ResourceLimits,
) -> None:
    """Serve requests until there are no more, or until this process has grown too much."""
    is_fit = True
    while is_fit and (lengths := requests.read(_REQUEST.size)):
        task_size, size = _REQUEST.unpack(lengths)
        task = json.loads(requests.read(task_size))
        resources.begin(size)
        body = b""
        header: dict[str, Any] = {}
        try:
            data = requests.read(size)
            if "side" in task:
                body = thumbnail(data, task["side"], limits, resources.sized)
            else:
                crop = Crop(**task["crop"]) if "crop" in task else None
                picture = decode(data, geometry, limits, resources.sized, crop)
                body = picture.pixels.tobytes()
                header = {
                    "width": picture.width,
                    "height": picture.height,
                    "format": picture.format,
                    "box": picture.box,
                }
                if (face := picture.face) is not None:
                    body += face.pixels.tobytes()
                    header["face"] = {"score": face.score, "box": face.box}
        except PictureError as error:
            header = {"error": type(error).__name__, "message": error.message}
        is_fit = resources.end()
        text = json.dumps(header).encode()
        replies.write(_REPLY.pack(len(text), len(body)) + text + body)
        replies.flush()


def main() -> None:
    """Be a decoder process."""
    geometry, limits, seconds = json.loads(sys.argv[1])
    without_threads()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder library prints must not get among the replies
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        if geometry["faces"]:
            face_detector()  # what it takes is no picture's
        resources = ResourceLimits(Limits(**limits), seconds)
        replies.write(_READY)
        replies.flush()
        serve(sys.stdin.buffer, replies, Geometry(**geometry), Limits(**limits), resources)
    os._exit(0)

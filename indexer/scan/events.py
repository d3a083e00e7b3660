"""Hears from the operating system that something changed below folders. Needs watchdog."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...core.extras import extra
from ...engine.images.decode import SUFFIXES
from ...engine.images.file_kinds import ending_of
from .rules import RootRules, Rules, Selection
from .walk import below, is_below

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

_HARMLESS = ("opened", "closed_no_write")
"""Kinds of events that change nothing: a build causes them itself."""


class ChangeSignal:
    """A signal that whoever sees a change rings; it says when it has been quiet for long enough.
    Safe to use from several threads."""

    def __init__(self, quiet: float, patience: float) -> None:
        """
        Args:
            quiet: seconds without a ring that are awaited.
            patience: seconds after which that is given up.
        """
        self._quiet = quiet
        self._patience = patience
        self._rung = threading.Condition()
        self._first = self._last = float("inf")

    def ring(self) -> None:
        """Something changed."""
        with self._rung:
            self._last = time.monotonic()
            self._first = min(self._first, self._last)
            self._rung.notify_all()

    def hush(self) -> None:
        """Forget all rings: what they told of is being looked at from now on."""
        with self._rung:
            self._first = self._last = float("inf")

    def due(self) -> float:
        """When to look, on the monotonic clock; infinity where it was not rung."""
        with self._rung:
            return min(self._last + self._quiet, self._first + self._patience)

    def wait(self, seconds: float) -> None:
        """Until it is rung, or so many seconds."""
        with self._rung:
            self._rung.wait(seconds)


class Observer:
    """A listener to the file system that rings when a picture or folder below some roots comes,
    goes, moves or changes. Use it in `with`."""

    def __init__(
        self,
        rules: Rules | Callable[[bytes], RootRules],
        store: bytes | None,
        ring: Callable[[], None],
    ) -> None:
        """
        Args:
            rules: what they leave out rings nothing; of all roots, or told of each.
            store: nor does this folder; None where the store is in none.

        Raises:
            TllError: watchdog isn't installed.
            OSError: the system can't tell.
        """
        self._rules = (
            (lambda root: RootRules.of(rules, root)) if isinstance(rules, Rules) else rules
        )
        self._store = store
        self._ring = ring
        self._observer: Any = extra("watchdog.observers", "watch", "watch").Observer()
        self._watched: dict[bytes, tuple[tuple[int, int], Any]] = {}
        """Root -> which folder that was, and watchdog's handle."""
        self._observer.start()

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.stop()
        self._observer.join()

    def observe(self, roots: Sequence[bytes]) -> None:
        """Observe these from now on, as far as they are there; rings for those that weren't
        observed before, or are other folders now (a disk came or went).

        Raises:
            OSError: the system can't tell.
        """
        there = {root: which for root in roots if (which := _which(root)) is not None}
        for root, (which, watch) in list(self._watched.items()):
            if there.get(root) != which:
                del self._watched[root]
                self._observer.unschedule(watch)
                self._ring()
        for root, which in there.items():
            if root not in self._watched:
                real = os.path.realpath(root)
                handler = _Handler(real, root, self._rules, self._store, self._ring)
                with suppress(FileNotFoundError):  # gone just now
                    watch = self._observer.schedule(handler, os.fsdecode(real), recursive=True)
                    self._watched[root] = which, watch
                    self._ring()

    def require_room(self) -> None:
        """watchdog passes over folders for which the system has no room any more: see whether it
        would take one more.

        Raises:
            OSError: it doesn't.
        """
        with tempfile.TemporaryDirectory() as folder:
            handler = _Handler(
                os.fsencode(folder), b"", lambda _: RootRules(), self._store, self._ring
            )
            self._observer.unschedule(self._observer.schedule(handler, folder))


class _Handler:
    """A handler of the events below one root."""

    def __init__(
        self,
        real: bytes,
        root: bytes,
        rules: Callable[[bytes], RootRules],
        store: bytes | None,
        ring: Callable[[], None],
    ) -> None:
        """
        Args:
            real: where the root really is.
            rules: tells those of the root, which may change.
        """
        self._real = real
        self._root = root
        self._rules = rules
        self._store = store
        self._ring = ring
        self._selection = (RootRules(), Selection(RootRules()))

    def dispatch(self, event: FileSystemEvent) -> None:
        """watchdog calls it."""
        if event.event_type in _HARMLESS:
            return
        if event.is_directory and event.event_type == "modified":
            return  # of what changed in it there are events as well
        paths = (event.src_path, event.dest_path)
        if any(path and self._concerns(os.fsencode(path), event.is_directory) for path in paths):
            self._ring()

    def _concerns(self, path: bytes, is_folder: bool) -> bool:
        """Whether a build would look at what is there."""
        if not is_below(path, self._real):
            return False
        if self._store is not None and is_below(path, self._store):
            return False
        if not is_folder and ending_of(path) not in SUFFIXES:
            return False
        rules = self._rules(self._root)
        if self._selection[0] != rules:
            self._selection = rules, Selection(rules)
        return not self._selection[1].skips_any(below(path, self._real), is_folder)


def _which(root: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(root)
    except OSError:
        return None
    return status.st_dev, status.st_ino

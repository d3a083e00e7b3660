"""A store kept in step with its folders, for as long as that is wanted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress

from ...core.config import Settings, load_settings
from ...core.errors import NoPicturesError, StoreBusyError, StoreFullError, TllError, UsageError
from ...core.names import shown
from ...core.progress import Progress
from ...engine.remote.urls import is_address
from ..scan.events import ChangeSignal, Observer
from ..scan.rules import Rules
from ..scan.walk import roots_of
from ..store import resolve
from .build import Builder, Recipe
from .report import BuildReport, Skipped

QUIET_SECONDS, PATIENCE_SECONDS = 1.0, 10.0
"""Seconds without a change after which a build begins, and after which it does so anyway."""
RESCAN = 600.0
"""Seconds after which all is looked at though nothing was heard: links lead where nobody listens,
and other machines' writes to a shared disk are not heard."""
POLL = 30.0
"""The same where the system can't tell."""
_WAKES = 1.0
"""How often to see whether roots are there, and whether to stop."""
_BUSY = 1.0
_FIRST_REST, _LONGEST_REST = 5.0, 300.0
"""After a build that failed: twice as long each time."""


class Listener:
    """A listener that hears what happens while a store is watched; this one says nothing."""

    def built(self, report: BuildReport, fresh: Sequence[Skipped]) -> None:
        """The first build is done, or one that found changes; `fresh` are files that could not be
        used and were not known to be so."""

    def waiting(self, why: str) -> None:
        """The store can't be written now, or there is nothing yet; it is tried again. Said once."""

    def failed(self, error: Exception, rest: float) -> None:
        """A build failed; the next begins in so many seconds."""

    def polling(self, why: str, seconds: float) -> None:
        """The system can't tell what changes; everything is looked at every so many seconds."""


def watch(
    folders: Iterable[str | os.PathLike[str]] = (),
    *,
    store: str | os.PathLike[str] | None = None,
    recipe: Recipe = Recipe(),  # noqa: B008
    rules: Rules | None = None,
    poll: float | None = None,
    listener: Listener | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> None:
    """Keep a store in step with folders of pictures: `build`, and again whenever something changed
    and it was quiet for a second (or went on for ten). The network stays loaded in between; the
    store is locked only during builds. Returns after Ctrl-C, or when `stop` is set.

    Args:
        folders, store, recipe, rules: see `build`. Rules that another build gives the store
            meanwhile hold from the next build on.
        poll: look at everything every so many seconds, rather than be told by the system: for disks
            of the network.
        listener: hears what happens.
        stop: whoever sets it, from another thread, ends this within a second or a batch.
        progress: of the first build.

    Raises:
        UsageError: `poll` is not above 0, or a folder is at an address and `poll` is not given.
        TllError: the first build failed, or watchdog isn't installed. Later builds are repeated.
    """
    if poll is not None and not 0 < poll < float("inf"):
        raise UsageError(f"--poll is {poll:g}; give a number of seconds above 0")
    folders = list(folders)
    if poll is None:
        _require_told(roots_of(folders))
    builder = Builder(folders, store, recipe, rules, settings or load_settings())
    if poll is None:
        _require_told(builder.roots())
    watching = _Watch(builder, poll, listener or Listener(), stop or threading.Event())
    with suppress(KeyboardInterrupt):
        watching.run(progress or Progress())


def _require_told(roots: Iterable[bytes]) -> None:
    """Refuse to listen where nothing is to be heard."""
    if address := next(filter(is_address, roots), None):
        raise UsageError(
            f"nothing reports changes at {shown(address)}: say --poll SECONDS to scan it "
            "this often, or run 'tll-index build' from time to time"
        )


class _Watch:
    """One call of `watch`: a builder, and when it is to build again."""

    def __init__(
        self, builder: Builder, poll: float | None, listener: Listener, stop: threading.Event
    ) -> None:
        self._builder = builder
        self._poll = poll
        self._listener = listener
        self._stop = stop
        self._changed = ChangeSignal(QUIET_SECONDS, PATIENCE_SECONDS)
        self._observer: Observer | None = None
        self._listening = ExitStack()
        self._rules = builder.rules()
        self._roots = list(self._rules)
        self._began = False
        self._next = 0.0
        """When to build though nothing was heard."""
        self._rest = 0.0
        """Seconds that were rested after the last build; 0 where it did not fail."""
        self._said = ""
        self._unusable: set[tuple[bytes, str]] = set()

    def run(self, progress: Progress) -> None:
        with self._listening:
            # Before the first build: what changes meanwhile is heard.
            if self._poll is None:
                self._listen(self._begin_listening)
            while not self._stop.is_set():
                now = time.monotonic()
                # While resting, changes can wait.
                due = self._next if self._rest else min(self._next, self._changed.due())
                if now < due:
                    self._changed.wait(min(due - now, _WAKES))
                    self._listen(self._look_at_roots)
                elif not self._build(Progress() if self._began else progress):
                    return

    def _begin_listening(self) -> None:
        store = resolve.folder_in_use(self._builder.location)
        self._observer = Observer(self._rules.__getitem__, store, self._changed.ring)
        self._listening.enter_context(self._observer)
        self._observer.observe(self._roots)
        self._observer.require_room()

    def _listen(self, how: Callable[[], None]) -> None:
        """Do something about listening; where the system can't, poll from now on."""
        try:
            how()
        except OSError as error:
            self._observer = None
            self._listening.close()
            self._poll = POLL
            self._next = min(self._next, time.monotonic() + POLL)
            self._listener.polling(error.strerror or str(error), POLL)

    def _look_at_roots(self) -> None:
        if self._observer is not None:
            self._observer.observe(self._roots)

    def _look_for_room(self) -> None:
        if self._observer is not None:
            self._observer.require_room()

    def _build(self, progress: Progress) -> bool:
        """Bring the store in step; whether to go on."""
        self._changed.hush()
        try:
            report = self._builder.build(progress)
            rules = self._builder.rules()
        except NoPicturesError as error:
            self._wait(str(error), self._poll or RESCAN)
        except StoreBusyError as error:
            self._wait(str(error), _BUSY)
            self._rest = _BUSY
        except (TllError, OSError) as error:
            if not self._began and not isinstance(error, StoreFullError):
                raise
            self._rest = min(2 * self._rest or _FIRST_REST, _LONGEST_REST)
            self._next = time.monotonic() + self._rest
            self._listener.failed(error, self._rest)
        else:
            if report.stopped:
                return False
            self._rules.update(rules)
            self._roots = list(rules)
            self._done(report)
        return True

    def _wait(self, why: str, seconds: float) -> None:
        self._next = time.monotonic() + seconds
        self._rest = 0
        if why != self._said:
            self._said = why
            self._listener.waiting(why)

    def _done(self, report: BuildReport) -> None:
        self._said, self._rest = "", 0
        self._next = time.monotonic() + (self._poll or RESCAN)
        unusable = {(one.path, one.reason) for one in report.skipped}
        fresh = [one for one in report.skipped if (one.path, one.reason) not in self._unusable]
        self._unusable = unusable
        changed = report.added or report.updated or report.moved or report.removed
        if changed or fresh or not self._began:
            self._listener.built(report, fresh)
        self._began = True
        if changed:
            self._listen(self._look_for_room)  # for the folders that came

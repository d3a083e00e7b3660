"""Keeps the FAISS files in step beside a build: the background index builder, a process of its own.

A long build would otherwise leave queries with ever more vectors outside the file. The process is
a polite one (nice), takes what memory it needs with it when it ends, and can be killed at any
moment: a file is replaced in one step or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading

from ...core import errors
from ...core.child_processes import SpokenProgress, command, relay, say
from ...core.config import Settings
from ...core.errors import TllError
from ...core.progress import Progress
from ..store.store import Store

STEP = 20_000
"""A build that has brought fewer new images leaves the files alone until its end."""

_SHARE = 2
"""Nor are they made again before the store has grown by one part in so many."""

_NICE = 10


class BackgroundIndexer:
    """A process that builds the indexes of one store, for the thread that writes the store. Stop
    it, or use it in `with`."""

    def __init__(self, store: Store, step: int = STEP) -> None:
        self._store = store
        self._step = step
        self._process: subprocess.Popen[str] | None = None
        self._in_files = store.indexes.in_files
        self._images = self._count() if self._in_files else 0

    def __enter__(self) -> BackgroundIndexer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def grown(self) -> None:
        """Images were committed: see whether it is time, and don't wait."""
        if not self._in_files or (self._process is not None and self._process.poll() is None):
            return
        images = self._count()
        if images - self._images >= max(self._step, self._images // _SHARE):
            self._images = images
            self._process = self._start(subprocess.DEVNULL)

    def finish(self, progress: Progress) -> None:
        """Bring the files up to the catalog.

        Raises:
            TllError: see `Store.save_index`.
        """
        if not self._in_files:
            self._store.save_index(progress)
            return
        if self._process is not None:
            self._process.wait()
        plans = self._store.indexes.due()
        if not plans:
            return
        if all(plan.exact for plan in plans):  # done in less time than a process takes to start
            self._store.save_index(progress)
            return
        self._process = self._start(subprocess.PIPE)
        assert self._process.stdout is not None
        failure = None
        for line in self._process.stdout:
            word, value = json.loads(line)
            if not relay(word, value, progress):
                failure = (word, value)
        code = self._process.wait()
        if failure is not None:
            raise getattr(errors, failure[0], TllError)(failure[1])
        if code:
            raise TllError(
                f"the index could not be made (its process ended with {code}); what is indexed is "
                "kept and can be searched: run the same command again"
            )

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process = None

    def _count(self) -> int:
        with self._store.catalog.reading() as reader:
            return reader.images

    def _start(self, replies: int) -> subprocess.Popen[str]:
        self.stop()
        wanted = {"index": self._store.settings.index, "memory": self._store.settings.memory}
        return subprocess.Popen(
            command(__name__, [os.fspath(self._store.path), wanted]),
            stdin=subprocess.PIPE,  # which ends with us
            stdout=replies,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to the whole group: here the parent decides
            text=True,
        )


# -- the child ---------------------------------------------------------------


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Be the process."""
    path, wanted = json.loads(sys.argv[1])
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with Store.open(path, settings=Settings(**wanted)) as store:
            store.save_index(SpokenProgress())
    except TllError as error:
        say(type(error).__name__, str(error))
        os._exit(1)
    os._exit(0)

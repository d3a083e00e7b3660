"""An LMDB environment that is opened once a process, grows by itself, and fails in our words."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from ...core import signals
from ...core.config import memory
from ...core.errors import StoreDamagedError, StoreError, StoreFullError, StoreReadOnlyError
from ...core.names import shown
from ...core.paths import is_file, is_there

_T = TypeVar("_T")
_SMALLEST_MAP = 64 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_KEPT = "what was committed before is kept: make room and run the same command again"
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}

# LMDB allows one open environment for a file and process (its locks are per process), so users
# of the same file share one; keyed by device and inode, since paths can lie.
_shared: dict[tuple[int, int], Environment] = {}
_shared_lock = threading.Lock()


class Environment:
    """One LMDB file. Get it with `Environment.open`; call `close` as often as `open`."""

    def __init__(self, path: Path, tables: Sequence[str], several_values: Sequence[str]) -> None:
        self.path = path
        self._users = 1
        self._gate = threading.Condition()
        self._readers = 0
        self._closed_to_readers = False
        self._mine = threading.local()
        self.writable = os.access(path if is_there(path) else path.parent, os.W_OK) and os.access(
            path.parent, os.W_OK
        )
        with _translating(path):
            self._lmdb = self._open(lock=True)
            try:
                self._require_whole()
                self._lmdb.reader_check()  # killed readers keep old pages from being used again
                self.tables = self._open_tables(tables, several_values)
            except BaseException:
                self._lmdb.close()
                raise

    @classmethod
    def open(
        cls,
        path: Path,
        tables: Sequence[str],
        several_values: Sequence[str] = (),
        *,
        create: bool = True,
    ) -> Environment:
        """The environment in the file `path`, made if it isn't there and may be. Its `tables` are
        handles by name; those of `several_values` hold several values for one key.

        Raises:
            StoreError: it can't be opened, or is no LMDB file.
        """
        with _shared_lock:
            if not create and is_lost(path):
                raise StoreDamagedError(f"{shown(path.parent)} has lost its {path.name}")
            if is_there(path) and (known := _shared.get(_file_key(path))):
                known._users += 1
                return known
            environment = cls(path, tables, several_values)
            _shared[_file_key(path)] = environment
            return environment

    def share(self) -> Environment:
        """The same, opened once more."""
        with _shared_lock:
            self._users += 1
        return self

    def close(self) -> None:
        """Let go; the last user closes the file."""
        with _shared_lock:
            self._users -= 1
            if self._users == 0:
                for key in [key for key, value in _shared.items() if value is self]:
                    del _shared[key]
                self._lmdb.close()

    def _open(self, lock: bool) -> lmdb.Environment:
        try:
            return self._opened(lock)
        except lmdb.MapResizedError:
            pass  # another process let it grow meanwhile, or it says what isn't so
        try:
            return self._opened(lock)
        except lmdb.MapResizedError as error:
            raise StoreDamagedError(
                f"{shown(self.path)} is damaged: it claims more pages than it has; restore it from "
                "a backup"
            ) from error

    def _opened(self, lock: bool) -> lmdb.Environment:
        size = self.path.stat().st_size if is_there(self.path) else 0
        try:
            return lmdb.open(
                os.fsencode(self.path),
                subdir=False,
                readonly=not self.writable,
                lock=lock,
                max_dbs=32,
                max_readers=512,
                map_size=_map_size(2 * size),
                # Where not all of it fits into memory, a query's few vectors are read from all
                # over the file, and what is read ahead would only push out what is needed.
                readahead=size <= memory() // 2,
            )
        except (lmdb.LockError, lmdb.ReadonlyError):
            # A folder that we may read but not write: nobody writes there either, most likely.
            if self.writable or not lock:
                raise
            return self._opened(lock=False)

    def _require_whole(self) -> None:
        """LMDB maps the file and would be killed (SIGBUS) by a page that is cut off."""
        pages = int(self._lmdb.info()["last_pgno"]) + 1
        wanted = pages * int(self._lmdb.stat()["psize"])
        if wanted > 2 * int(self._lmdb.stat()["psize"]) and self.path.stat().st_size < wanted:
            raise StoreDamagedError(f"{shown(self.path)} is cut off; restore it from a backup")

    def _open_tables(self, names: Sequence[str], several_values: Sequence[str]) -> dict[str, Any]:
        """Handles of the tables, made where they are missing and can be; once for a process,
        since the binding keeps no handle that a read transaction opened."""
        handles: dict[str, Any] = {}
        if not self.writable:
            for name in names:
                with suppress(lmdb.NotFoundError):
                    handles[name] = self._lmdb.open_db(name.encode(), create=False)
            return handles
        try:
            with self._lmdb.begin(write=True) as txn:
                for name in names:
                    handles[name] = self._lmdb.open_db(
                        name.encode(), txn, dupsort=name in several_values
                    )
        except lmdb.MapResizedError:  # another process let it grow between our open and this
            self._lmdb.set_mapsize(0)
            return self._open_tables(names, several_values)
        return handles

    @contextmanager
    def reading(self) -> Iterator[lmdb.Transaction]:
        """A snapshot of what was committed last. Must not be held while calling `write`."""
        begun: list[lmdb.Transaction] = []
        try:
            with signals.whole():
                begun.append(self._begin_reading())
            with _translating(self.path):
                yield begun[0]
        finally:
            try:
                self._end_reading(begun)
            except KeyboardInterrupt:  # which came before it had begun, or when it was done
                self._end_reading(begun)
                raise

    def write(self, work: Callable[[lmdb.Transaction], _T]) -> _T:
        """Run `work` in a transaction and commit it; all of it is kept or none.

        Where the map is full it is doubled and `work` runs again, so `work` changes nothing but
        the transaction.

        Raises:
            StoreFullError, StoreReadOnlyError, StoreError; whatever `work` raises
        """
        if not self.writable:
            raise StoreReadOnlyError(
                f"the store {shown(self.path.parent)} can't be written (read-only)"
            )
        if getattr(self._mine, "depth", 0):
            raise RuntimeError("a thread that reads the catalog must not write it")
        with signals.whole():
            return self._write(work)

    def _write(self, work: Callable[[lmdb.Transaction], _T]) -> _T:
        while True:
            with _translating(self.path):
                try:
                    txn = self._lmdb.begin(write=True)
                except lmdb.MapResizedError:
                    with self._alone():
                        self._lmdb.set_mapsize(0)
                    continue
                try:
                    result = work(txn)
                    txn.commit()
                    return result
                except lmdb.MapFullError:
                    with self._alone():
                        txn.abort()
                        self._lmdb.set_mapsize(2 * int(self._lmdb.info()["map_size"]))
                except BaseException:
                    with self._alone():
                        txn.abort()
                    raise

    def _begin_reading(self) -> lmdb.Transaction:
        while True:
            with self._gate:
                while self._closed_to_readers:
                    self._gate.wait()
                self._readers += 1
            try:
                with _translating(self.path):
                    txn = self._lmdb.begin()
                self._mine.depth = getattr(self._mine, "depth", 0) + 1
                return txn
            except lmdb.MapResizedError:  # another process let the map grow: follow
                self._leave()
                with self._alone(), _translating(self.path):
                    self._lmdb.set_mapsize(0)
            except BaseException:
                self._leave()
                raise

    def _end_reading(self, begun: list[lmdb.Transaction]) -> None:
        with signals.whole():
            if begun:
                begun.pop().abort()
                self._mine.depth -= 1
                self._leave()

    def _leave(self) -> None:
        with self._gate:
            self._readers -= 1
            self._gate.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other thread has a transaction open, and none can begin: LMDB remaps only
        then, and the binding's abort waits for such a moment, which busy readers never leave."""
        with self._gate:
            while self._closed_to_readers:
                self._gate.wait()
            self._closed_to_readers = True
            try:
                while self._readers:
                    self._gate.wait()
                yield
            finally:
                self._closed_to_readers = False
                self._gate.notify_all()


def is_lost(path: Path) -> bool:
    """Whether an LMDB file that was there is not, or has no byte: LMDB would begin a new one."""
    return not (is_file(path) and path.stat().st_size)


def _let_go_after_fork() -> None:
    """A forked child needs environments of its own; closing its copies leaves the parent's."""
    for environment in _shared.values():
        environment._lmdb.close()
    _shared.clear()


os.register_at_fork(after_in_child=_let_go_after_fork)


def _map_size(at_least: int) -> int:
    size = _SMALLEST_MAP
    while size < at_least:
        size *= 2
    return size


def _file_key(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


@contextmanager
def _translating(path: Path) -> Iterator[None]:
    try:
        yield
    except (lmdb.MapFullError, lmdb.MapResizedError):
        raise  # handled where they can be helped
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
        raise StoreDamagedError(
            f"{shown(path)} is damaged, or is not a catalog: {error}"
        ) from error
    except (lmdb.Error, OSError) as error:
        raise translated(path, error) from error


def translated(path: Path, error: Exception) -> StoreError:
    """What LMDB or the operating system says of a file of the store, in our words."""
    folder, text = shown(path.parent), str(error)

    def is_any(codes: set[int]) -> bool:
        code = getattr(error, "errno", None) or getattr(error, "code", None)
        return code in codes or any(os.strerror(one) in text for one in codes)

    # LMDB reports a write that was cut short, as on a full disk, as an I/O error.
    if is_any(_FULL) or (is_any({errno.EIO}) and _is_nearly_full(path.parent)):
        return StoreFullError(f"no room left on the disk that holds {folder}; {_KEPT}")
    if is_any({errno.EIO}):
        return StoreError(
            f"{shown(path)} can't be written: the disk is full or failing ({text}); {_KEPT}"
        )
    if is_any(_NOT_WRITABLE):
        return StoreReadOnlyError(f"the store {folder} can't be written ({text})")
    if is_any({errno.ENOMEM}):
        return StoreDamagedError(
            f"{shown(path)} can't be mapped into memory: it is damaged, or memory is limited here"
        )
    return StoreError(f"{shown(path)}: {text}")


def _is_nearly_full(folder: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(folder).free < 1 << 20
    return False

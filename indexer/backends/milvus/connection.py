"""A connection to a Milvus, shared by all that use it in this process; its errors in our words.

What is secret comes from the environment alone, so that it stands in no list of processes, file of
settings or log:

    TLL_MILVUS_TOKEN        user:password, or an API key
    TLL_MILVUS_TLS          1 for TLS with the authorities that this machine trusts
    TLL_MILVUS_CA           PEM file of the authority (or certificate) to trust instead
    TLL_MILVUS_CERT         PEM files of our own certificate and key, where the server asks for one
    TLL_MILVUS_KEY
    TLL_MILVUS_SERVER_NAME  the name in the server's certificate, where it isn't the host's
    TLL_MILVUS_TIMEOUT      seconds that one call may take; 60 if not set
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....core.errors import NoStoreError, StoreBusyError, StoreError, UsageError
from ....core.extras import extra
from ....core.location import Milvus
from ....core.paths import is_folder

AT_ONCE = 16_384
"""Rows that Milvus gives for one call, at most."""

_CHUNK = 1_000
"""Keys named, or rows written, in one call."""

_SECONDS_TO_CONNECT = 10
_LITE_THREADS = 4


class Connection:
    """A connection to the Milvus of one store. Safe to use from several threads."""

    def __init__(
        self, location: Milvus, client: Any, seconds: float, tidy: contextlib.ExitStack
    ) -> None:
        """`seconds`: that one call may take."""
        self.location = location
        self.is_lite = location.file is not None
        self._client = client
        self._seconds = seconds
        self._tidy = tidy
        self._users = 1

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What the client's method of that name gives, which has an end.

        Raises:
            StoreError: the Milvus can't be reached or refuses; says why.
        """
        with translated(self.location):
            return getattr(self._client, name)(*arguments, **{"timeout": self._seconds, **named})

    def rows(
        self, collection: str, filter: str, fields: Sequence[str], key: str, limit: int = 0
    ) -> list[dict[str, Any]]:
        """Rows that a filter lets through, in order of `key`; the first `limit` of them.

        Args:
            key: the primary key, by which more than `AT_ONCE` are fetched in turn.
        """
        if not limit:
            every = self._query(collection, filter, [*fields, key], AT_ONCE)
            if len(every) < AT_ONCE:  # so no segment had more
                return sorted(every, key=lambda row: row[key])
        found: list[dict[str, Any]] = []
        after = None
        while not limit or len(found) < limit:
            wanted = min(AT_ONCE, limit - len(found)) if limit else AT_ONCE
            rest = f"({filter}) and " if filter else ""
            here = filter if after is None else f"{rest}{key} > {after}"
            some = self._query(collection, here, [*fields, key], wanted, ordered=True)
            if not some:  # fewer than wanted tell nothing: 2.3 stops where its first segment ends
                break
            some.sort(key=lambda row: row[key])
            found += some
            after = repr(some[-1][key]) if isinstance(some[-1][key], int) else f'"{some[-1][key]}"'
        return found

    def by_keys(
        self, collection: str, key: str, keys: Sequence[Any], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Rows whose primary key `key` is one of `keys`, in no order; in bounded calls."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(keys), _CHUNK):
            some = list(keys[start : start + _CHUNK])
            wanted = f"{key} in {some}".replace("'", '"')
            found += self._query(collection, wanted, [*fields, key], _CHUNK)
        return found

    def count(self, collection: str, filter: str = "") -> int:
        """How many rows a filter lets through."""
        found = self.call(
            "query", collection, filter=filter, output_fields=["count(*)"], **self._strength
        )
        return int(found[0]["count(*)"])

    def upsert(self, collection: str, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows, in the places of those with the same keys."""
        for start in range(0, len(rows), _CHUNK):
            self.call("upsert", collection, list(rows[start : start + _CHUNK]))

    def delete(self, collection: str, keys: Sequence[Any]) -> None:
        """Delete rows by their keys."""
        for start in range(0, len(keys), _CHUNK):
            self.call("delete", collection, ids=list(keys[start : start + _CHUNK]))

    def _query(
        self, collection: str, filter: str, fields: Sequence[str], limit: int, ordered: bool = False
    ) -> list[dict[str, Any]]:
        """
        Args:
            ordered: of more than `limit` rows, give those with the smallest keys. Otherwise any of
                them come: each segment gives what it has.
        """
        order = {"iterator": "True", "reduce_stop_for_best": True} if ordered else {}
        found = self.call(
            "query",
            collection,
            filter=filter,
            output_fields=list(dict.fromkeys(fields)),
            limit=limit,
            **order,
            **self._strength,
        )
        return list(map(dict, found))

    @property
    def _strength(self) -> dict[str, str]:
        """How fresh what is read must be: as what this connection wrote."""
        return {"consistency_level": "Session"}

    def close(self) -> None:
        """One user less; the last lets go of it."""
        with _LOCK:
            self._users -= 1
            if self._users:
                return
            if _OPEN.get(self.location) is self:
                del _OPEN[self.location]
            self._tidy.close()


_OPEN: dict[Milvus, Connection] = {}
_LOCK = threading.RLock()


def connect(location: Milvus) -> Connection:
    """A connection, for whoever closes it.

    Raises:
        StoreError: there is no such Milvus, it can't be reached, or refuses.
        StoreBusyError: another process has the Milvus Lite open.
        TllError: pymilvus isn't installed.
        UsageError: the environment says something that makes no sense.
    """
    with _LOCK:
        if (known := _OPEN.get(location)) is not None:
            known._users += 1
            return known
        seconds = _seconds()
        with contextlib.ExitStack() as stack:
            client = _client(location, stack)
            connection = Connection(location, client, seconds, stack.pop_all())
        _OPEN[location] = connection
        return connection


def _client(location: Milvus, tidy: contextlib.ExitStack) -> Any:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its warnings are of no use to a person
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # no child of ours uses its connections
    pymilvus = extra("pymilvus", "milvus", "a store in a Milvus")
    for name in ("pymilvus", "milvus_lite", "grpc"):  # what goes wrong is raised as well
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with translated(location):
        if location.file is not None:
            client = pymilvus.MilvusClient(uri=_served(location.file, tidy), dedicated=True)
        else:
            host = f"[{location.host}]" if ":" in location.host else location.host
            secure = _security()
            scheme = "https" if secure else "http"
            client = pymilvus.MilvusClient(
                uri=f"{scheme}://{host}:{location.port}",
                token=os.environ.get("TLL_MILVUS_TOKEN", ""),
                db_name=location.database,
                timeout=_SECONDS_TO_CONNECT,
                dedicated=True,
                **secure,
            )
        tidy.callback(client.close)
        return client


def _served(file: Path, tidy: contextlib.ExitStack) -> str:
    """Milvus Lite in this process, at a socket that only this user reaches: pymilvus by itself
    would open a port, at which any user of the machine could ask. All stores in one file share it.
    """
    served = _SERVED.get(file)
    if served is None:
        with contextlib.ExitStack() as own:
            socket = _serve(file, own)
            served = _SERVED[file] = _Served(socket, own.pop_all())
    served.users += 1
    tidy.callback(_leave, file)
    return f"unix:{served.socket}"


@dataclass
class _Served:
    """A Milvus Lite that runs in this process."""

    socket: str
    tidy: contextlib.ExitStack
    users: int = 0


_SERVED: dict[Path, _Served] = {}


def _leave(file: Path) -> None:
    with _LOCK:
        served = _SERVED[file]
        served.users -= 1
        if not served.users:
            del _SERVED[file]
            served.tidy.close()


def _serve(file: Path, tidy: contextlib.ExitStack) -> str:
    server_module = extra("milvus_lite.adapter.grpc.server", "milvus", "a store in a Milvus Lite")
    if not is_folder(file.parent):
        raise NoStoreError(f"{file.parent} is not a folder: a Milvus Lite can't be in it")
    folder = tempfile.mkdtemp(prefix="tll-")
    tidy.callback(shutil.rmtree, folder, ignore_errors=True)
    socket = f"{folder}/milvus"
    server, database, _ = server_module.start_server_in_thread(
        os.fspath(file), host="unix", port=socket, max_workers=_LITE_THREADS
    )
    tidy.callback(database.close)
    tidy.callback(lambda: server.stop(grace=2).wait())
    return socket


def _security() -> dict[str, Any]:
    """What a client wants to know for TLS; empty is without."""
    names = {
        "TLL_MILVUS_CA": "ca_pem_path",
        "TLL_MILVUS_CERT": "client_pem_path",
        "TLL_MILVUS_KEY": "client_key_path",
        "TLL_MILVUS_SERVER_NAME": "server_name",
    }
    found = {key: value for name, key in names.items() if (value := os.environ.get(name))}
    for name, key in names.items():
        if key in found and key != "server_name" and not os.access(found[key], os.R_OK):
            raise UsageError(f"{name} names a file that can't be read: {found[key]}")
    if ("client_pem_path" in found) != ("client_key_path" in found):
        raise UsageError("TLL_MILVUS_CERT and TLL_MILVUS_KEY are set together or not at all")
    if "ca_pem_path" in found and "client_pem_path" not in found:
        found["server_pem_path"] = found.pop("ca_pem_path")
    if found or os.environ.get("TLL_MILVUS_TLS", "0").lower() in ("1", "true", "yes", "on"):
        return {"secure": True, **found}
    return {}


def _seconds() -> float:
    text = os.environ.get("TLL_MILVUS_TIMEOUT") or "60"
    try:
        if (seconds := float(text)) > 0:
            return seconds
    except ValueError:
        pass
    raise UsageError(f"TLL_MILVUS_TIMEOUT: {text!r} is not a number of seconds")


@contextlib.contextmanager
def translated(location: Milvus) -> Iterator[None]:
    """What goes wrong in libraries, in our words.

    Raises:
        StoreError, StoreBusyError
    """
    try:
        yield
    except (StoreError, UsageError):
        raise
    except OSError as error:
        raise StoreError(f"{location} can't be used: {error.strerror or error}") from error
    except Exception as error:
        kind, text = type(error).__name__, _first_line(error)
        if kind == "DataDirLockedError":
            raise StoreBusyError(
                f"another process has {location} open, and a Milvus Lite is for one at a time; "
                "wait for it to end, or run a Milvus server, which many can use"
            ) from None
        module = type(error).__module__
        if not module.startswith(("pymilvus", "milvus_lite", "grpc")):
            raise
        if _is_refused(error):
            raise StoreError(f"{location} denies access; set TLL_MILVUS_TOKEN") from error
        if _is_unreachable(text):
            raise StoreError(
                f"{location} can't be reached ({text}); is the Milvus running, and is TLS set as "
                "it is there (TLL_MILVUS_TLS)?"
            ) from error
        raise StoreError(f"{location}: Milvus says: {text}") from error


def _first_line(error: Exception) -> str:
    details = getattr(error, "details", None)  # of gRPC
    said = details() if callable(details) else getattr(error, "message", "")
    text = str(said or error).strip().splitlines()
    token = os.environ.get("TLL_MILVUS_TOKEN")
    line = text[0] if text else type(error).__name__
    return line.replace(token, "…") if token else line


def _is_refused(error: BaseException) -> bool:
    """Whether it is about who we are; the client says that only somewhere below."""
    about = ("auth check", "unauthenticated", "permissiondenied", "permission_denied", "privilege")
    cause: BaseException | None = error
    for _ in range(8):  # an error of pymilvus may be its own cause
        if cause is None:
            break
        if any(word in str(cause).lower() for word in about):
            return True
        cause = cause.__cause__
    return False


def _is_unreachable(text: str) -> bool:
    lower = text.lower()
    return any(
        word in lower
        for word in ("fail connecting", "connect", "unavailable", "deadline", "illegal uri", "dns")
    )

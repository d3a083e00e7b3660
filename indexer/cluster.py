"""Ray: started for a build on this machine alone, or joined where it runs already.

What Ray says, asks for and listens to is kept to the least. Its token and its certificates are its
own environment variables, which nothing here reads aloud.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..config import Settings, cores
from ..errors import TllError, UsageError
from .extras import extra
from .report import Progress

_WHAT = "a build on Ray"
_CORES = 2
"""Of a worker without a GPU. More share one network, but its threads then wait for each other."""
_MOST_CORES = 16
"""Of a worker with a GPU."""
_OBJECTS = 256 << 20
"""Bytes for Ray's objects on this machine alone: names and vectors, and a lens."""
_REACHED_IN = 5.0
"""Seconds for an address to answer."""
_ENDS_IN = 5.0
"""Seconds for a thread of Ray to see that it is gone."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_request_timeout_seconds": "10",
    "RAY_raylet_start_wait_time_s": "10",
}
"""Of Ray's own, where the user says nothing else: no reports to its makers, no remarks on standard
error, no long waiting."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's switch for listening on more than 127.0.0.1, named after where it is off by default."""


@dataclass(frozen=True)
class Ray:
    """Where a build embeds: on all nodes of a Ray cluster."""

    address: str | None = None
    """None starts Ray on this machine for the build, closed to others, and ends it afterwards.
    'auto' takes the cluster that this machine is a node of (or the address in RAY_ADDRESS), and
    'HOST:PORT' that one; this machine must be a node of it. Where this process is connected to Ray
    already, None and 'auto' are that."""
    cores: int = 0
    """CPUs of each worker; 0 is 2 (fewer where a node has fewer), or a GPU's share of them."""
    patience: float = 60.0
    """Seconds without any node that could work after which the build gives up."""

    def require(self) -> None:
        """See whether a build could begin, without loading Ray.

        Raises:
            UsageError: there can be no such address.
            TllError: Ray isn't installed.
        """
        if importlib.util.find_spec("ray") is None:
            extra("ray", "ray", _WHAT)
        address = self.address
        if address == "auto":
            address = os.environ.get("RAY_ADDRESS") or None
        if address in (None, "auto", "local"):
            return
        if "://" in address:
            raise UsageError(
                f"{address}: Ray's client ({address.partition('://')[0]}://) can't build; run the "
                "command on a node of the cluster, with --address auto"
            )
        _host_and_port(address)

    @contextlib.contextmanager
    def connected(self, settings: Settings, progress: Progress) -> Iterator[Cluster]:
        """The cluster, for the block; what was started for it ends with it.

        Raises:
            TllError: Ray can't be started or reached, or has no node that could work.
        """
        self.require()
        local = self.address in (None, "local")
        with contextlib.ExitStack() as stack:
            stack.enter_context(_environment(_QUIET))
            ray = extra("ray", "ray", _WHAT)
            extra("ray.data", "ray", _WHAT)
            if local and not ray.is_initialized():
                stack.enter_context(_closed())
            stack.enter_context(_silence())
            if not ray.is_initialized():
                if local:
                    _start(ray, stack)
                else:
                    stack.callback(_ended, ray)
                    _join(ray, str(self.address))
            else:  # by a notebook, say
                there = ray.get_runtime_context().gcs_address
                if self.address not in (None, "auto", "local", there):
                    raise TllError(f"this process is connected to Ray at {there} already")
                local = False
            yield Cluster(ray, self, settings, local, progress)


class Cluster:
    """A Ray that this process is connected to, and what a worker asks of it."""

    def __init__(
        self, ray: Any, how: Ray, settings: Settings, is_ours: bool, progress: Progress
    ) -> None:
        self.ray = ray
        self.is_ours = is_ours
        """Whether it was started here, for this build."""
        self._patience = how.patience
        self._worked = time.monotonic()
        nodes = self._until_there(how)
        gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
        wants_gpu = settings.device.startswith(("auto", "cuda"))
        self.gpus = int(bool(gpus) and wants_gpu)
        """Of a worker."""
        if self.gpus:
            share = min(int(node.get("CPU", 0) // node["GPU"]) for node in gpus)
            usual = max(1, min(share, _MOST_CORES))
            self.device = "cuda"
        else:
            usual = max(1, min(_CORES, *(int(node["CPU"]) for node in nodes)))
            self.device = "cpu" if settings.device == "auto" else settings.device
        self.cores = how.cores or usual
        """CPUs of a worker."""
        self.workers = self.room()
        """How many there can be, by the nodes of the beginning."""
        if not self.workers:
            raise TllError(f"no node of the cluster has {self._wanted()} for a worker")
        progress.note(
            f"ray: {self.workers} worker{'s' * (self.workers != 1)} with {self._wanted()} each"
        )

    def room(self) -> int:
        """How many workers the nodes that are alive could hold."""
        return sum(
            min(
                int(node.get("CPU", 0) // self.cores),
                int(node.get("GPU", 0)) if self.gpus else 1 << 30,
            )
            for node in self._nodes()
        )

    def require_room(self) -> None:
        """See, now and then, whether anybody is left to work.

        Raises:
            TllError: nobody has been for as long as one is to wait.
        """
        if self.room():
            self._worked = time.monotonic()
        elif time.monotonic() - self._worked > self._patience:
            raise TllError(
                f"the cluster has had no node with {self._wanted()} for {self._patience:.0f} s; "
                "what is indexed is kept: run the same command again when there are nodes"
            )

    def _wanted(self) -> str:
        gpu = " and a GPU" if self.gpus else ""
        return f"{self.cores} CPU{'s' * (self.cores != 1)}{gpu}"

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _until_there(self, how: Ray) -> list[dict[str, float]]:
        while True:
            if nodes := [node for node in self._nodes() if node.get("CPU", 0) >= 1]:
                return nodes
            if time.monotonic() - self._worked > how.patience:
                raise TllError(f"the cluster has had no node with CPUs for {how.patience:.0f} s")
            time.sleep(0.5)


def _start(ray: Any, stack: contextlib.ExitStack) -> None:
    """Start Ray on this machine alone."""
    # Its sockets lie there, whose names may not be long.
    root = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="tll-ray-", dir=root if len(root) < 24 else "/tmp")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    stack.callback(_ended, ray)
    try:
        with _connecting():
            ray.init(
                address="local",
                num_cpus=cores(),
                object_store_memory=_OBJECTS,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                _temp_dir=folder,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise TllError(f"Ray can't be started here ({_first_line(error)})") from error
    host = ray.get_runtime_context().gcs_address.rpartition(":")[0].strip("[]")
    if not (host.startswith("127.") or host == "::1"):
        raise TllError(
            f"this version of Ray listens on {host}, not on this machine alone: start it yourself "
            "as you want it, and say --address auto"
        )


def _join(ray: Any, address: str) -> None:
    wanted = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    if wanted != "auto":
        host, port = _host_and_port(wanted)
        try:
            socket.create_connection((host, port), _REACHED_IN).close()
        except OSError as error:
            raise TllError(f"no Ray at {wanted} ({error.strerror or error})") from None
    try:
        with _connecting():
            ray.init(address=wanted, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = "on this machine" if wanted == "auto" else f"at {wanted}"
        raise TllError(
            f"no Ray can be joined {where} ({_first_line(error)}); this machine must be a node of "
            "the cluster: ray start --address HOST:PORT"
        ) from error


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"{address!r} is no address of Ray: auto, or HOST:PORT")
    return host.strip("[]"), int(port)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


# -- quiet, and closed ---------------------------------------------------------


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """These variables, unless the user has set them, for the block."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


_AUTH = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextlib.contextmanager
def _closed() -> Iterator[None]:
    """A Ray that is started in the block listens to this machine alone. By itself it also asks for
    a token, since 2.60: unless the user has one, it gets one that nobody else knows."""
    values = {_LOOPBACK: "0"}
    given = any(name in os.environ for name in _AUTH)
    if not given:
        values["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    constants = extra("ray._private.ray_constants", "ray", _WHAT)  # which has read the variable
    with _environment(values), _other(constants, "ENABLE_RAY_CLUSTER", False):
        try:
            yield
        finally:
            if not given:  # but Ray has set a mode
                os.environ.pop("RAY_AUTH_MODE", None)
                os.environ.pop("RAY_AUTH_TOKEN", None)
                _forget_token()


def _forget_token() -> None:
    """What this process joins next may ask for none, or for another."""
    with contextlib.suppress(ImportError, AttributeError):
        from ray._raylet import AuthenticationTokenLoader, Config

        Config.initialize("")  # first: else a thread that still ends reads the token again
        AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def _connecting() -> Iterator[None]:
    """While Ray is started or joined. It replaces the handler of SIGTERM: put ours back. And its
    C++ side says on standard error how much it is going to say there: nobody hears it."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    with contextlib.ExitStack() as stack:
        if is_main:
            stack.callback(signal.signal, signal.SIGTERM, before)
        with contextlib.suppress(OSError):  # it is closed
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        yield


_LOGGERS = ("ray", "ray.data")


def quiet_logs() -> None:
    """Keep Ray's loggers from saying anything: what matters is raised. Ray Data sets up its own
    when it is first used, so it is told then."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """And what it prints by itself, on standard output: that a node died, that it tries again. Its
    threads, which may find it gone, neither complain nor connect anew."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    quiet_logs()
    with contextlib.ExitStack() as stack:
        printing = extra("ray._private.worker", "ray", _WHAT)
        stack.enter_context(_other(printing, "print_to_stdstream", lambda *_, **__: None))
        joining = extra("ray._private.auto_init_hook", "ray", _WHAT)
        stack.enter_context(_other(joining, "enable_auto_connect", False))
        stack.enter_context(_other(threading, "excepthook", lambda _: None))
        yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _other(module: object, name: str, value: object) -> Iterator[None]:
    """Another value of what a module may have, for the block."""
    if not hasattr(module, name):
        yield
        return
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _ended(ray: Any) -> None:
    """Let go of Ray, and see its threads end."""
    with contextlib.suppress(Exception):
        ray.shutdown()
    for thread in threading.enumerate():
        if thread.name.startswith("StreamingExecutor"):
            thread.join(_ENDS_IN)

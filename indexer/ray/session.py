"""Ray, started for this process or joined where it runs, and kept quiet and closed.

Its token and its certificates are its own environment variables, which nothing here reads aloud.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from ...core.config import cores
from ...core.errors import TllError, UsageError
from ...core.extras import extra

WHAT = "a build on Ray"
_OBJECTS = 256 << 20
"""Bytes for Ray's objects on this machine alone: names and vectors, and a lens."""
_REACHED_IN = 5.0
"""Seconds for an address to answer."""
_ENDS_IN = 5.0
"""Seconds for a thread of Ray to see that it is gone."""
QUIET_RAY = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_request_timeout_seconds": "10",
    "RAY_raylet_start_wait_time_s": "10",
}
"""Of Ray's own, where the user says nothing else: no remarks on standard error, no long waiting.
That it makes no reports is said in `privacy`."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's switch for listening on more than 127.0.0.1, named after where it is off by default."""


def start(ray: Any, stack: contextlib.ExitStack) -> None:
    """Start Ray on this machine alone."""
    # Its sockets lie there, whose names may not be long.
    root = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="tll-ray-", dir=root if len(root) < 24 else "/tmp")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    stack.callback(ended, ray)
    try:
        with _connecting(), _without_reporter():
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


@contextlib.contextmanager
def _without_reporter() -> Iterator[None]:
    """Without the process that Ray starts for its reports, and for nothing else where there is no
    dashboard: it asks three clouds' metadata addresses where it is, though it may not report."""
    services = extra("ray._private.services", "ray", WHAT)
    with _other(services, "start_api_server", lambda *_, **__: (None, None)):  # as where it fails
        yield


def join(ray: Any, address: str) -> None:
    wanted = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    if wanted != "auto":
        host, port = host_and_port(wanted)
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


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"{address!r} is not an address of Ray: name auto, or HOST:PORT")
    return host.strip("[]"), int(port)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


# -- quiet, and closed ---------------------------------------------------------


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
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
def closed() -> Iterator[None]:
    """A Ray that is started in the block listens to this machine alone. By itself it also asks for
    a token, since 2.60: unless the user has one, it gets one that nobody else knows."""
    values = {_LOOPBACK: "0"}
    given = any(name in os.environ for name in _AUTH)
    if not given:
        values["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    constants = extra("ray._private.ray_constants", "ray", WHAT)  # which has read the variable
    with environment(values), _other(constants, "ENABLE_RAY_CLUSTER", False):
        try:
            yield
        finally:
            if not given:  # but Ray has set a mode
                os.environ.pop("RAY_AUTH_MODE", None)
                os.environ.pop("RAY_AUTH_TOKEN", None)
                _forget_token()


def _forget_token() -> None:
    """What this process joins next may ask for none, or for another."""
    inside = extra("ray._raylet", "ray", WHAT)
    with contextlib.suppress(AttributeError):
        inside.Config.initialize("")  # first: else a thread that still ends reads the token again
        inside.AuthenticationTokenLoader.instance().reset_cache()


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
def silence() -> Iterator[None]:
    """And what it prints by itself, on standard output: that a node died, that it tries again. Its
    threads, which may find it gone, neither complain nor connect anew."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    quiet_logs()
    with contextlib.ExitStack() as stack:
        printing = extra("ray._private.worker", "ray", WHAT)
        stack.enter_context(_other(printing, "print_to_stdstream", lambda *_, **__: None))
        joining = extra("ray._private.auto_init_hook", "ray", WHAT)
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


def ended(ray: Any) -> None:
    """Let go of Ray, and see its threads end."""
    with contextlib.suppress(Exception):
        ray.shutdown()
    for thread in threading.enumerate():
        if thread.name.startswith("StreamingExecutor"):
            thread.join(_ENDS_IN)

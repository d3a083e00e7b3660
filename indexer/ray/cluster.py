"""The nodes that a build embeds on: which Ray it is, what a worker needs of it, who is left."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...core.config import Settings
from ...core.errors import TllError, UsageError
from ...core.extras import extra, require_extra
from ...core.progress import Progress
from .session import (
    QUIET_RAY,
    WHAT,
    closed,
    ended,
    environment,
    host_and_port,
    join,
    silence,
    start,
)

_CORES = 2
"""Of a worker without a GPU. More share one network, but its threads then wait for each other."""
_MOST_CORES = 16
"""Of a worker with a GPU."""


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
        require_extra("ray", WHAT)
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
        host_and_port(address)

    @contextlib.contextmanager
    def connected(self, settings: Settings, progress: Progress) -> Iterator[Cluster]:
        """The cluster, for the block; what was started for it ends with it.

        Raises:
            TllError: Ray can't be started or reached, or has no node that could work.
        """
        self.require()
        local = self.address in (None, "local")
        with contextlib.ExitStack() as stack:
            stack.enter_context(environment(QUIET_RAY))
            ray = extra("ray", "ray", WHAT)
            extra("ray.data", "ray", WHAT)
            if local and not ray.is_initialized():
                stack.enter_context(closed())
            stack.enter_context(silence())
            if not ray.is_initialized():
                if local:
                    start(ray, stack)
                else:
                    stack.callback(ended, ray)
                    join(ray, str(self.address))
            else:  # by a notebook, say
                there = ray.get_runtime_context().gcs_address
                if self.address not in (None, "auto", "local", there):
                    raise TllError(f"this process is connected to Ray at {there} already")
                local = False
            yield Cluster(ray, self, settings, local, progress)


class Cluster:
    """A Ray that this process is connected to, and what a worker needs of it."""

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

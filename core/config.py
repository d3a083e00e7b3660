"""Settings and folders: argument > environment (TLL_*) > config.toml > default."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from .errors import UsageError
from .location import Location, is_milvus, located
from .paths import is_file, is_folder, named, why_hidden

STORE_NAME = ".tll-index"
RUNTIMES = ("auto", "onnx", "openvino", "torch")
HYPERLINKS = ("auto", "always", "never")
FACES = ("on", "off")
NO_HOME = Path("/dev/null/no-home")
"""The user folder of a process without a home (no HOME, and a user that the system doesn't know):
nothing is there, and nothing can be made there."""
INDEXES = ("auto", "flat", "ivf", "hnsw")

_CHOICES = {"runtime": RUNTIMES, "hyperlinks": HYPERLINKS, "faces": FACES}


def user_folder() -> Path:
    """Where this user's weights, lenses and config.toml live; `TLL_HOME` moves it. `NO_HOME` of
    somebody who has none.

    Raises:
        UsageError: `TLL_HOME` makes no sense.
    """
    if chosen := os.environ.get("TLL_HOME"):
        try:
            return named(chosen)
        except UsageError as error:
            raise UsageError(f"TLL_HOME: {error}") from None
    try:
        usual = platformdirs.user_data_dir("tll-index")
    except RuntimeError:
        return NO_HOME
    return Path(usual) if os.path.isabs(usual) else NO_HOME  # older ones leave ~ as it is


@dataclass(frozen=True)
class Settings:
    """The settings of a process. Every field is also an environment variable (`TLL_BATCH_SIZE=64`)
    and a key of `config.toml` in the user folder (`batch_size = 64`)."""

    store: Location | None = None
    """Its location: a folder, or the address of a Milvus (see `location`); None looks for
    `.tll-index` here and upwards."""
    weights_dir: Path = field(default_factory=lambda: user_folder() / "weights")
    """Folder of downloaded backbone weights, one file a backbone."""
    lens_dir: Path = field(default_factory=lambda: user_folder() / "lenses")
    """Folder of this user's own lenses, `<backbone>.npz`."""
    cache_dir: Path = field(default_factory=lambda: user_folder() / "cache")
    """Folder of what can be made again, such as features; may be removed at any time."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto takes a GPU where there is one."""
    runtime: str = "auto"
    """auto, onnx, openvino or torch: what runs a network; auto is ONNX Runtime on a CPU wherever
    the network can be had so (OpenVINO for many pictures in 8 bits), torch otherwise."""
    faces: str = "on"
    """on or off: whether new stores and lenses compare faces as well, where the network is left to
    tll-index."""
    batch_size: int = 0
    """Pictures a forward pass, and pictures a transaction; 0 is 32 on a CPU, on a GPU 256."""
    workers: int = 0
    """Decoder processes; 0 is one for each core, at most 8."""
    max_megapixels: int = 178
    """Pictures with more are skipped before they are decoded."""
    max_megabytes: int = 512
    """Files that are larger are skipped before they are read."""
    decode_seconds: int = 30
    """Seconds of computing for the largest picture, a tenth for the smallest; one that takes longer
    is skipped and its decoder replaced."""
    truncated: bool = False
    """Whether pictures that are cut off are taken as far as they go; otherwise they are skipped."""
    hyperlinks: str = "auto"
    """auto, always or never: whether paths in tables are hyperlinks; auto is on terminals that are
    known to do it."""
    index: str = ""
    """auto, flat, ivf, hnsw or a FAISS factory string; empty is what the store was last told, and
    auto in the beginning: exact while there are few pictures, then lists of quantised vectors."""
    memory: int = 0
    """Bytes that the index and the vectors it compares may take, such as 4G; 0 is what the store
    was last told, and half of the machine's in the beginning."""

    def decoders(self) -> int:
        """How many decoder processes to start."""
        return self.workers or min(cores(), 8)


def load_settings(**arguments: object) -> Settings:
    """Settings from `arguments` that are not None, then the environment, then the file.

    Raises:
        UsageError: a value that can't be understood; says where it came from.
    """
    chosen: dict[str, Any] = {}
    from_file = _file()
    for spec in fields(Settings):
        for value, origin in (
            (arguments.get(spec.name), f"--{spec.name.replace('_', '-')}"),
            (os.environ.get(f"TLL_{spec.name.upper()}") or None, f"TLL_{spec.name.upper()}"),
            (from_file.get(spec.name), f"{spec.name} in {_file_path()}"),
        ):
            if value is not None:
                chosen[spec.name] = _parsed(spec.name, value, origin)
                break
    return replace(Settings(), **chosen)


def _parsed(name: str, value: object, origin: str) -> object:
    if name in ("store", "weights_dir", "lens_dir", "cache_dir"):
        if not isinstance(value, (str, bytes, os.PathLike)):
            raise UsageError(f"{origin}: {value!r} is not a path")
        try:
            if name == "store" and is_milvus(os.fsdecode(value)):
                return located(os.fsdecode(value))
            return named(value)
        except UsageError as error:
            raise UsageError(f"{origin}: {error}") from None
    if name in ("device", "index"):
        return str(value)
    if name == "memory":
        return _bytes(value, origin)
    if name == "truncated":
        return _truth(value, origin)
    if (choices := _CHOICES.get(name)) is not None:
        if value not in choices:
            raise UsageError(f"{origin}: {value!r} is none of {', '.join(choices)}")
        return value
    try:
        number = int(str(value))
    except ValueError:
        raise UsageError(f"{origin}: {value!r} is not a whole number") from None
    if number < (0 if name in ("workers", "batch_size") else 1):
        raise UsageError(f"{origin}: {number} is too small")
    return number


def _truth(value: object, origin: str) -> bool:
    text = str(value).strip().lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise UsageError(f"{origin}: {value!r} is neither true nor false")
    return text in ("1", "true", "yes", "on")


def _bytes(value: object, origin: str) -> int:
    """A number of bytes, such as 4G, 512M or 1.5GiB (powers of 1,024)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", str(value).strip().upper())
    if match is None:
        raise UsageError(f"{origin}: {value!r} is not a size such as 4G or 512M")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2] or " "))


def _file_path() -> Path:
    return user_folder() / "config.toml"


def _file() -> dict[str, object]:
    try:
        text = _file_path().read_text("utf-8")
    except OSError:
        return {}
    except UnicodeDecodeError:
        raise UsageError(f"{_file_path()}: is not UTF-8 text") from None
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef, import-not-found, unused-ignore]
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{_file_path()}: {error}") from None
    known = {spec.name for spec in fields(Settings)}
    if unknown := sorted(set(table) - known):
        raise UsageError(f"{_file_path()}: unknown setting {unknown[0]!r}; known: {sorted(known)}")
    return table


def take_cores(count: int) -> None:
    """Have `cores` say so in this process, which shares the machine with others of its kind."""
    _Share.cores = count


class _Share:
    """The part of this machine that this process was told to keep to."""

    cores = 0
    """0: all that there are."""


def cores() -> int:
    """How many cores this process may use."""
    if _Share.cores:
        return _Share.cores
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def memory() -> int:
    """How many bytes of memory there are for this process: the machine's, or what its control group
    may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    groups = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:  # version 2
                groups.add(f"/sys/fs/cgroup{path}/memory.max")
            elif controllers == "memory":
                groups.add(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")
    for group in groups:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            limits.append(int(Path(group).read_text()))
    return min(limits)


def find_store(start: Path | None = None) -> Path | None:
    """The nearest `.tll-index` folder, from `start` (default: here) upwards, as git looks. One that
    may not be entered is passed by where there is another."""
    here = Path(os.path.realpath(start or Path.cwd()))
    closed: Path | None = None
    for folder in (here, *here.parents):
        store = folder / STORE_NAME
        # One that has lost its store.json can be repaired.
        if is_file(store / "store.json") or glob.glob(f"{glob.escape(str(store))}/catalog*"):
            return store
        if closed is None and is_folder(store) and why_hidden(store / "store.json"):
            closed = store  # opening it says so
    return closed

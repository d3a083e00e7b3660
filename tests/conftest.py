"""What every test gets: a home of its own, no network, and the tiny backbone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

import tiny
import user_home
from tll_index.cli import main

if TYPE_CHECKING:
    from milvus_server import Served

# Threads of OpenMP (torch's, FAISS's) that wait for each other in a busy loop keep others from the
# cores: where tests run side by side, that would be half of all computing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# And to start those of NumPy's OpenBLAS takes half the time of importing it, for every process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A machine that others use as well may take any time over an example. One that fails is printed
# with the line that repeats it.
settings.register_profile(
    "busy", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

# A shell that puts the tests into the background makes them deaf to Ctrl-C, and their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
TLL_ROOT = Path(os.environ.get("TLL_ROOT") or HERE.parent.parent / "shared/data/tll")


class Rooms:
    """A plugin of pytest's that collects the repository's own folder as a folder of tests, and no
    package: its `__init__.py` is `tll_index`'s, and only where the folder's name is one of Python's
    could pytest import it by that. (Of a conftest, hooks go only for what lies below it.)"""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Dir | None:
        return pytest.Dir.from_parent(parent, path=path) if path == HERE.parent else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rooms())
    if not hasattr(config, "workerinput"):  # xdist's workers get what this process has
        config.pluginmanager.register(user_home.UserHome())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test with the mark `slow_after_first`, all cases but the first get the mark `slow`. So
    do, but where a backend's contract is tested, those of the fixture `anywhere` in a Milvus."""
    seen: set[tuple[Path, str]] = set()
    for item in items:
        if in_milvus(item) and not any(item.path.is_relative_to(one) for one in CONTRACTS):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow_after_first"):
            test = (item.path, getattr(item, "originalname", item.name))
            if test in seen:
                item.add_marker(pytest.mark.slow)
            seen.add(test)


CONTRACTS = [HERE / "indexer" / room for room in ("backends", "store", "ingest/test_build.py")]
"""Tests of what every backend promises."""


def in_milvus(item: pytest.Item) -> bool:
    """Whether the fixture `anywhere` puts the test's store into a Milvus."""
    case = getattr(item, "callspec", None)
    return case is not None and case.params.get("anywhere") in ("milvus", AT_AN_ADDRESS)


def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the temporary folders of all processes of the tests are in."""
    own = tmp_path_factory.getbasetemp()  # of one of xdist's workers, where there are several
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A home whose cache has networks as ONNX, for all processes of the tests. pytest's cache keeps
    it for the next run, until what exports it changes."""
    folder = of_all_workers(tmp_path_factory) / "furnished"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            kept = Path(pytestconfig.cache.mkdir("networks")) / tiny.version_of_exports()
            with FileLock(f"{kept.parent}.lock"):
                if not kept.exists():
                    shutil.rmtree(kept.parent)  # those of other versions
                    tiny.export_into(made := kept.with_name("new"))
                    made.rename(kept)
                shutil.copytree(kept, made := folder.with_name("furnished.new"))
            made.rename(folder)
    return folder


@pytest.fixture(autouse=True)
def home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, furnished: Path
) -> Iterator[Path]:
    """A user folder of this test's own, with the tiny backbone's weights and its network in it.
    Networks are run as on a user's CPU, by ONNX Runtime, but see `by_torch` and `tiny.watch`."""
    for name in list(os.environ):
        if name.startswith(("TLL_", "TINY_")):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TLL_HOME", str(folder))
    # One decoder: to start another takes more than the few small pictures of a test.
    monkeypatch.setenv("TLL_WORKERS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    tiny.install()
    tiny.furnish(folder, furnished)
    yield folder
    if {"TINY_LOG", "TINY_SECONDS"} & os.environ.keys():
        assert os.environ.get("TLL_RUNTIME") == "torch", "else nobody would heed them"


@pytest.fixture
def by_torch(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are run by torch: where a test has some of its own, which it need not export."""
    monkeypatch.setenv("TLL_RUNTIME", "torch")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


LOCATIONS = {"folder": "store", "milvus": "milvus-lite:store.db"}
AT_AN_ADDRESS = "address"
MILVUS = os.environ.get("MILVUS", "")
"""HOST:PORT of a Milvus to take for tests at an address, not a Milvus Lite behind a port."""
_NUMBERS = count()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A Milvus at a port of this machine, for all tests of this process."""
    from milvus_server import Served, milvus  # gRPC is slow to import, and most tests need none

    if MILVUS:
        yield Served(int(MILVUS.rpartition(":")[2]), MILVUS.rpartition(":")[0])
        return
    with milvus(tmp_path_factory.mktemp("milvus") / "data") as served:
        yield served


@pytest.fixture
def address(
    request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An address for a store of this test's own, which has no folder on this machine: what
    `the_store` names."""
    served: Served = request.getfixturevalue("milvus_server")
    name = f"store_{os.getpid()}_{next(_NUMBERS)}"
    monkeypatch.setenv("TLL_STORE", served.address(name))
    yield served.address(name)
    served.drop(name)


@pytest.fixture(params=[*LOCATIONS, AT_AN_ADDRESS])
def anywhere(request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Once in a folder, once in a Milvus Lite and once at an address: the store that `the_store`
    names. The three differ in whether the store has a folder here, and whose."""
    if request.param == AT_AN_ADDRESS:
        return request.getfixturevalue("address")
    monkeypatch.setenv("TLL_STORE", LOCATIONS[request.param])
    return LOCATIONS[request.param]


def the_store() -> str:
    """Where the running test's store is."""
    return os.environ.get("TLL_STORE", "store")


@dataclass
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def tll_index(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Run the command line in this process, as `main` does it."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["tll-index", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command line, tiny backbone included, in a process of its own, which does not
    outlive the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, tiny.__file__, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,  # type: ignore[call-overload]
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """So little work is slower on several: threads that wait for each other on a busy machine take
    fifty times as long as one alone."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture
def tll() -> Path:
    """The TLL pictures, where they are."""
    if not (TLL_ROOT / "train.csv").is_file():
        pytest.skip(f"no TLL data in {TLL_ROOT}; set TLL_ROOT")
    return TLL_ROOT

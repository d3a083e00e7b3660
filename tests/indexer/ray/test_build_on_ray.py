"""Builds on Ray: the same store as of a build here, whichever node or process dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from conftest import Result
from pictures import encoded, fill_folder, noise, png_claiming
from tll_index import BuildReport, Ray, Recipe, Store, TllError, build
from tll_index.core.config import Settings, load_settings
from tll_index.core.errors import (
    DamagedPictureError,
    NoStoreError,
    StoreMismatchError,
    UsageError,
    WeightsError,
)
from tll_index.engine.images.decode import Picture
from tll_index.indexer.decoding.pipeline import File, Listed, Prepared
from tll_index.indexer.ray.driver import taken
from tll_index.indexer.ray.rows import FileTask, result_table, task_table, tasks_of
from tll_index.indexer.ray.weights_files import WeightsHolder, weights_there
from tll_index.indexer.ray.worker import require_alike
from tll_index.indexer.scan.walk import FileState

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

TINY = Recipe(backbone="tiny")
BATCH = 4
BLOCK = 2 * BATCH
SUPPORT = Path(tiny.__file__).parent


@dataclass
class Nodes:
    """A cluster on this machine: a head without CPUs, on which builds run, and two nodes with one
    each."""

    cluster: Any
    address: str

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, object_store_memory=80 << 20)

    def kill(self, node: Any) -> None:
        """As a machine dies: at once, with all that runs on it."""
        self.cluster.remove_node(node, allow_graceful=False)

    def working(self) -> list[Any]:
        return list(self.cluster.worker_nodes)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    folder = tempfile.mkdtemp(prefix="t-", dir="/tmp")  # sockets have short names
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith(("TLL_", "TINY_", "RAY_")):
            patch.delenv(name)
    patch.setenv("RAY_TMPDIR", folder)
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("TLL_HOME", f"{folder}/home")
    patch.setenv("TLL_RUNTIME", "torch")
    patch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    # Otherwise it takes half a minute until a machine that says nothing is taken for dead.
    checks = {"initial_delay_ms": 0, "period_ms": 300, "timeout_ms": 1000, "failure_threshold": 3}
    cluster.add_node(
        num_cpus=0,
        object_store_memory=80 << 20,
        include_dashboard=False,
        _system_config={f"health_check_{name}": value for name, value in checks.items()},
    )
    found = Nodes(cluster, cluster.address)
    found.add()
    found.add()
    yield found
    cluster.shutdown()
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)


SECONDS = "0.1"
"""That each forward pass takes in a worker, so that there is a middle to be killed in."""


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """What workers of this module's one job know of: their log, and the file that breaks them."""
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def job(scratch: Path) -> dict[str, Any]:
    """Workers have the tiny backbone as a user's own would come to them."""
    names = {"TINY_LOG": "log", "TINY_GATE": "gate", "TINY_BREAKS": "broken"}
    variables = {variable: str(scratch / name) for variable, name in names.items()}
    return {
        "worker_process_setup_hook": "tiny.install",
        "env_vars": {**variables, "TINY_SECONDS": SECONDS},
    }


@pytest.fixture(scope="module")
def joined(nodes: Nodes, job: dict[str, Any]) -> Iterator[Nodes]:
    """As in a notebook that is connected already: so workers are started once for many tests."""
    import ray

    ray.init(address=nodes.address, runtime_env=job, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()


@pytest.fixture(autouse=True)
def log(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TLL_RUNTIME", "torch")  # whose passes are logged
    (scratch / "log").unlink(missing_ok=True)
    return scratch / "log"


@pytest.fixture
def gate(scratch: Path) -> Iterator[Path]:
    """While it is there, workers make twelve passes and wait in all others: nothing gets ready."""
    (path := scratch / "gate").write_text("12")
    yield path
    path.unlink(missing_ok=True)


def run(nodes: Nodes | None, *, patience: float = 60, **options: Any) -> BuildReport:
    on = None if nodes is None else Ray(nodes.address, patience=patience)
    given = {"store": "store", "recipe": TINY, "settings": load_settings(batch_size=BATCH)}
    return build(["photos"], on=on, **{**given, **options})


def counts(report: BuildReport) -> dict[str, int]:
    names = ("added", "updated", "unchanged", "moved", "removed", "copies", "embedded")
    return {name: count for name in names if (count := getattr(report, name))}


def passes(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def embedded(log: Path) -> int:
    """Pictures, but for those that are alone: with such a one each worker tries itself."""
    return sum(size for size in passes(log) if size > 1)


def content(path: Path | str) -> dict[str, tuple[list[bytes], np.ndarray]]:
    with Store.open(path) as store, store.catalog.reading() as reader:
        numbers = [int(number) for number in reader.image_numbers()]
        vectors = reader.vectors(numbers)
        return {
            reader.record(number).sha256: (sorted(reader.paths_of(number)), vector)
            for number, vector in zip(numbers, vectors, strict=True)
        }


def some_are_kept() -> bool:
    """Whether a build has committed pictures, and so made a place for them before."""
    try:
        return bool(content("store"))
    except NoStoreError:
        return False


def aged(folder: Path) -> None:
    for file in folder.rglob("*"):
        before = file.stat().st_mtime_ns - 60 * 10**9
        os.utime(file, ns=(before, before))


def until(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_same_store_as_here(here: Path, joined: Nodes, log: Path) -> None:
    paths = fill_folder(here / "photos", 40)
    shutil.copy(paths[3], here / "photos/copy of 3.png")
    shutil.copy(paths[3], here / "photos/picture0039b.png")
    (here / "photos/damaged.jpg").write_bytes(encoded(noise(1), "JPEG")[:300])
    (here / "photos/empty.png").touch()
    (here / "photos/text.png").write_text("no picture")
    (here / "photos/bomb.png").write_bytes(png_claiming(30_000, 30_000))
    strange = os.fsencode(here / "photos") + b"/\xff\n.png"
    shutil.copy(paths[4], strange)
    aged(here / "photos")
    local = run(None, store="local")
    report = run(joined)
    assert counts(report) == counts(local) == {"added": 43, "copies": 3, "embedded": 40}
    assert sorted(report.skipped) == sorted(local.skipped)
    assert len(report.reasons()) == 4
    one, other = content("local"), content("store")
    assert one.keys() == other.keys()
    for sha256, (where, vector) in one.items():
        assert where == other[sha256][0]
        np.testing.assert_allclose(vector, other[sha256][1], atol=1e-6)
    assert 40 <= embedded(log) <= 43
    with Store.open("store") as store:
        assert store.query(paths[7], k=1, include_self=True)[0].path == str(paths[7])

    # What is known is not sent anywhere; what changed, moved or is doubted is read over there.
    nowhere = Nodes(None, "127.0.0.1:9")
    assert counts(run(nowhere)) == {"unchanged": 43}
    assert counts(run(nowhere, dry_run=True)) == {"unchanged": 43}
    log.unlink()
    noise(99).save(paths[0])
    noise(98).save(paths[1])
    paths[2].rename(here / "photos/moved.png")
    report = run(joined, checksum=True)
    assert counts(report) == {"unchanged": 40, "updated": 2, "moved": 1, "embedded": 2}
    assert len(report.skipped) == 4
    assert sum(passes(log)) <= 3 + 2  # of each worker a try


def test_a_node_dies(here: Path, joined: Nodes, log: Path, gate: Path) -> None:
    fill_folder(here / "photos", 160)
    (there, *_) = joined.working()

    def kill_one() -> None:
        try:
            until(lambda: len(passes(log)) >= 12)
            joined.kill(there)
        finally:
            gate.unlink()

    report = beside(kill_one, lambda: run(joined))
    joined.add()
    assert counts(report) == {"added": 160, "embedded": 160}
    assert len(content("store")) == 160
    assert 160 <= embedded(log) <= 160 + 4 * BLOCK


def test_no_node_is_left(here: Path, joined: Nodes, gate: Path) -> None:
    fill_folder(here / "photos", 160)

    def kill_all() -> None:
        try:
            until(some_are_kept)
            for node in joined.working():
                joined.kill(node)
        finally:
            gate.unlink()

    with pytest.raises(TllError, match="no node with 1 CPU for 1 s; what is indexed is kept"):
        beside(kill_all, lambda: run(joined, patience=1))
    joined.add()
    joined.add()
    kept = len(content("store"))
    assert 0 < kept < 160
    assert counts(run(None))["added"] == 160 - kept
    assert len(content("store")) == 160


def beside(work: Callable[[], None], build: Callable[[], BuildReport]) -> BuildReport:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(work)
        report = build()
        done.result()
    return report


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_build_is_ended(
    here: Path,
    nodes: Nodes,
    job: dict[str, Any],
    gate: Path,
    spawn: Callable[..., subprocess.Popen[bytes]],
    number: int,
) -> None:
    fill_folder(here / "photos", 160)
    process = spawn("build", "photos", *OPTIONS, "--address", nodes.address, env=with_job(job))
    until(lambda: some_are_kept() or process.poll() is not None)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    if number == signal.SIGINT:
        assert said.decode().rstrip().endswith("stopped; run the same command again to go on")
        assert process.returncode == 130
    assert b"Traceback" not in said
    assert b"raylet" not in said
    done = len(content("store"))
    assert 0 < done < 160
    assert counts(run(None)) == {"unchanged": done, "added": 160 - done, "embedded": 160 - done}


OPTIONS = ("--store", "store", "--backbone", "tiny", "--batch-size", str(BATCH), "--on", "ray")


def with_job(job: dict[str, Any]) -> dict[str, str]:
    """An environment in which Ray's jobs are like that: as `ray job submit` hands it on."""
    return {**os.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": job})}


def test_what_fails_in_a_worker(
    here: Path, joined: Nodes, scratch: Path, home: Path, tll_index: Callable[..., Result]
) -> None:
    fill_folder(here / "photos", 3)
    (scratch / "broken").touch()
    result = tll_index("build", "photos", *OPTIONS, "--address", joined.address)
    (scratch / "broken").unlink()
    assert result.code == 1
    (line,) = [line for line in result.err.splitlines() if line.startswith("tll-index:")]
    assert "failed: RuntimeError('out of order')" in line
    assert "Traceback" not in result.err

    other = replaced_row()
    tiny.write_weights(home / "weights" / f"{other}.safetensors")
    with pytest.raises(UsageError, match=rf"the worker on .*{other}"):
        run(joined, recipe=Recipe(backbone=other), store="other")


def replaced_row() -> str:
    """The name of a backbone that workers don't have."""
    from dataclasses import replace

    from tll_index.engine.backbones import registry

    registry.register(replace(tiny.SPEC, name="tiny3"))
    return "tiny3"


def test_on_this_machine_alone(
    here: Path,
    job: dict[str, Any],
    log: Path,
    gate: Path,
    spawn: Callable[..., subprocess.Popen[bytes]],
) -> None:
    fill_folder(here / "photos", 160)
    environment = with_job(job)
    environment["PYTHONPATH"] = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    environment["TMPDIR"] = folder = tempfile.mkdtemp(prefix="t-", dir="/tmp")
    process = spawn("build", "photos", *OPTIONS, env=environment)
    until(lambda: len(passes(log)) >= 5)
    started = [pid for pid in every_process() if mentions(pid, folder)]
    assert len(started) >= 4
    open_to = {address for pid in (*started, process.pid) for address in listening(pid)}
    assert open_to and all(address.endswith("7F") for address in open_to)  # 127.
    process.kill()
    process.communicate(timeout=300)
    until(lambda: not any(mentions(pid, folder) for pid in every_process()))
    shutil.rmtree(folder, ignore_errors=True)


def every_process() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def mentions(pid: int, word: str) -> bool:
    try:
        return word in Path(f"/proc/{pid}/cmdline").read_text() and is_alive(pid)
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def listening(pid: int) -> set[str]:
    """The addresses that a process listens at, as the kernel writes them: in hex, reversed."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in sockets:
                found.add(parts[1].partition(":")[0][-8:])
    return found


def test_what_can_not_begin(
    here: Path,
    tll_index: Callable[..., Result],
    spawn: Callable[..., subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_folder(here / "photos", 3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = spawn("build", "photos", *OPTIONS, "--address", address)
    _, said = process.communicate(timeout=500)
    assert f"tll-index: no Ray at {address} (Connection refused)" in said.decode()
    assert process.returncode == 1
    for address, says in (
        ("ray://head:10001", "with --address auto"),
        ("nonsense", "not an address of Ray"),
    ):
        result = tll_index("build", "photos", *OPTIONS, "--address", address)
        assert (result.code, says in result.err) == (2, True), result.err
    assert tll_index("build", "photos", "--address", "auto").code == 2
    monkeypatch.setitem(sys.modules, "ray", None)
    result = tll_index("build", "photos", "--backbone", "tiny", "--on", "ray")
    assert result.code == 1
    assert "pip install 'tll-index[ray]'" in result.err


# -- without Ray ---------------------------------------------------------------


def listed(name: bytes) -> Listed:
    return Listed(b"/photos", name, FileState(1, 2), True, None, 5)


def test_answers_are_taken_once() -> None:
    a, b = listed(b"a.png"), listed(b"\xff.png")
    vector = np.array([0.6, 0.8], np.float32)
    seen = Picture(np.zeros((2, 2, 3), np.uint8), 30, 20, "PNG")
    read = File(b"/photos", b"a.png", FileState(7, 8), True)
    first = Prepared(read, b"x" * 32, 7, seen, None, (vector, vector[:1]))
    second = Prepared(b, error=DamagedPictureError("is broken \ud800 \udcff", b.path))
    table = result_table([(4, first), (5, second)])
    waiting = {4: a, 5: b, 6: a}
    one, two = list(taken(table, waiting))
    assert one.file == Listed(b"/photos", b"a.png", FileState(7, 8), True, None, 5)
    assert one.picture is not None
    assert (one.picture.width, one.picture.height, one.picture.format) == (30, 20, "PNG")
    assert [list(kept) for kept in one.vectors] == [list(vector), list(vector[:1])]
    assert (two.file, str(two.error)) == (b, str(second.error))
    assert not list(taken(table, waiting))
    assert list(waiting) == [6]


def test_names_survive() -> None:
    asked = [FileTask(1, listed(b"\xff\n\0.png"), b""), FileTask(2, listed(b"b.png"), b"y" * 32)]
    back = tasks_of(task_table(asked))
    assert [(one.number, one.file.path, one.known) for one in back] == [
        (one.number, one.file.path, one.known) for one in asked
    ]


def test_other_vectors_are_refused() -> None:
    one = np.array([[0.6, 0.8]], np.float32)
    require_alike((one,), (one + 1e-4,))
    for other in (-one, one[:, ::-1], one * np.nan):
        with pytest.raises(StoreMismatchError, match="another vector there"):
            require_alike((one,), (other,))


def test_weights_that_come_once(tmp_path: Path) -> None:
    from tll_index.engine.backbones.weights import digest

    source = tiny.write_weights(tmp_path / "there/tiny.safetensors", seed=8)
    sha256 = digest(source)
    settings = Settings(weights_dir=tmp_path / "weights", cache_dir=tmp_path / "cache")
    tiny.write_weights(tmp_path / "weights/tiny.safetensors", seed=9)  # other ones
    hint, came = Path("/nowhere/tiny.safetensors"), []

    def fetched() -> bytes:
        came.append(1)
        return source.read_bytes()

    assert weights_there(tiny.SPEC, sha256, source, settings, fetched) == source
    for _ in range(2):
        path = weights_there(tiny.SPEC, sha256, hint, settings, fetched)
        assert path.parent == tmp_path / "cache/weights"
        assert digest(path) == sha256
    assert len(came) == 1
    path.write_bytes(b"torn")
    assert digest(weights_there(tiny.SPEC, sha256, hint, settings, fetched)) == sha256
    with pytest.raises(WeightsError, match="were changed"):
        weights_there(tiny.SPEC, "0" * 64, hint, settings, fetched)
    assert WeightsHolder(str(source))._path == str(source)

"""What a new process loads, and how: no more than its command needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pictures import fill_folder
from tll_index import Store, build
from tll_index.core.config import load_settings

HEAVY = {
    *("torch", "timm", "open_clip", "sklearn", "scipy", "huggingface_hub", "safetensors", "onnx"),
    *("faiss", "openvino", "threadpoolctl", "jinja2", "tqdm", "filelock", "email", "pandas"),
}
"""What a query of a small store does without."""

_AT_THE_END = """
import gc, sys
from tll_index.__main__ import main
try:
    main()
finally:
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    print("collects", gc.isenabled(), file=sys.stderr)
    print("peak", peak, file=sys.stderr)
    print("modules", *sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Five pictures through the default network, with no lens, in the folder `pictures` beside."""
    folder = tmp_path_factory.mktemp("cold")
    fill_folder(folder / "pictures", 5)
    settings = load_settings(device="cpu", runtime="auto", cache_dir=folder / "cache")
    build([folder / "pictures"], store=folder / "store", settings=settings)
    yield folder / "store"


def run(*arguments: object, code: str = _AT_THE_END) -> dict[str, list[str]]:
    """What a new process says at its end, by its first word."""
    environ = {**os.environ, "TLL_RUNTIME": "auto", "TLL_DEVICE": "cpu"}
    environ.pop("OPENBLAS_NUM_THREADS", None)  # which the tests have
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environ,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    lines = (line.split() for line in ended.stderr.splitlines())
    return {"printed": ended.stdout.splitlines(), **{name: rest for name, *rest in lines}}


def test_a_query_loads_what_a_small_store_needs(store: Path) -> None:
    ended = run("query", first(store), "--store", store)
    assert sorted(HEAVY & set(ended["modules"])) == []
    assert {"numpy", "onnxruntime", "lmdb"} <= set(ended["modules"])
    if sys.platform == "linux":
        assert int(ended["peak"][0]) <= 150_000_000 / 1024


def first(store: Path) -> Path:
    return sorted((store.parent / "pictures").iterdir())[0]


def test_an_index_of_lists_needs_faiss(store: Path) -> None:
    keep_index(store, "IVF2,Flat")
    try:
        assert "faiss" in run("query", first(store), "--store", store)["modules"]
    finally:
        keep_index(store, "flat")


def keep_index(store: Path, index: str) -> None:
    with Store.open(store, settings=load_settings(index=index)) as opened:
        opened.save_index()


def test_garbage_is_searched_for_where_there_may_be_some(store: Path) -> None:
    one, other, *_ = sorted((store.parent / "pictures").iterdir())
    assert run("query", one, "--store", store)["collects"] == ["False"]
    assert run("query", one, other, "--store", store)["collects"] == ["True"]
    assert run("info", "--store", store)["collects"] == ["True"]


def test_help_loads_click_and_little_of_ours() -> None:
    ours = {name for name in run("--help")["modules"] if name.split(".")[0] == "tll_index"}
    core = {"names", "privacy", "signals", "streams", "version"}
    shared = {"debug", "interrupts", "usage_errors"}
    assert ours == {
        *("tll_index", "tll_index.__main__", "tll_index.cli", "tll_index.core"),
        *("tll_index.commands", "tll_index.commands.completion", "tll_index.commands.shared"),
        *(f"tll_index.core.{name}" for name in core),
        *(f"tll_index.commands.shared.{name}" for name in shared),
    }


def test_the_package_loads_little_of_ours() -> None:
    code = "import sys, tll_index; print('modules', *sys.modules, file=sys.stderr)"
    ours = {name for name in run(code=code)["modules"] if name.split(".")[0] == "tll_index"}
    assert ours == {
        *("tll_index", "tll_index.core", "tll_index.core.privacy", "tll_index.core.version")
    }

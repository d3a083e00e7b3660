"""Connections to a Milvus: TLS and tokens, and one clear line for what goes wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Result
from milvus_server import Served, milvus, self_signed
from pictures import fill_folder, noise
from tll_index import Recipe, Store, build
from tll_index.core.errors import NoStoreError, TllError, UsageError
from tll_index.core.location import located
from tll_index.indexer.backends.milvus.connection import connect

TINY = Recipe("tiny")


def test_a_milvus_that_is_not_there(here: Path, tll_index: Callable[..., Result]) -> None:
    started = time.monotonic()
    result = tll_index("info", "--store", "milvus://127.0.0.1:9/photos")
    assert time.monotonic() - started < 60
    assert result.code == 1 and "can't be reached" in result.err
    assert result.err.count("\n") == 1 and "Traceback" not in result.err


def test_a_milvus_without_a_store(
    here: Path, server: Served, tll_index: Callable[..., Result]
) -> None:
    with pytest.raises(NoStoreError, match="no store in milvus://"):
        Store.open(server.address())
    result = tll_index("query", "x.png", "--store", server.address())
    assert result.code == 1 and "make one with 'tll-index build DIR --store milvus://" in result.err


def test_without_pymilvus(here: Path) -> None:
    code = (
        "import sys; sys.modules['pymilvus'] = None\n"
        "sys.argv = ['tll-index', 'info', '--store', 'milvus://h:1/c']\n"
        "from tll_index.cli import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=500
    )
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1 and "pip install 'tll-index[milvus]'" in found.stderr


@pytest.mark.slow
def test_a_token_and_tls(
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tll_index: Callable[..., Result],
    spawn: Any,
) -> None:
    fill_folder(here / "photos", 3)
    key, certificate = self_signed()
    (here / "ca.pem").write_bytes(certificate)
    token = "root:a very secret word"
    with milvus(tmp_path / "data", token=token, certificate=(key, certificate)) as server:
        address = server.address(host="localhost")
        command = ("build", "photos", "--backbone", "tiny", "--store", address)
        monkeypatch.setenv("TLL_MILVUS_TIMEOUT", "5")
        plain = tll_index(*command)
        assert plain.code == 1 and "TLL_MILVUS_TLS" in plain.err
        monkeypatch.setenv("TLL_MILVUS_TLS", "1")
        unknown = tll_index(*command)  # an authority that this machine does not trust
        assert unknown.code == 1 and "can't be reached" in unknown.err
        monkeypatch.setenv("TLL_MILVUS_CA", str(here / "ca.pem"))
        monkeypatch.setenv("TLL_MILVUS_TOKEN", "root:a wrong secret word")
        wrong = tll_index(*command)
        assert wrong.code == 1 and "set TLL_MILVUS_TOKEN" in wrong.err
        monkeypatch.setenv("TLL_MILVUS_TOKEN", token)
        process = spawn(*command, "--debug")
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0 and b"3 added" in out, err
        right = tll_index("info", "--store", address)
        assert right.code == 0
    for text in (plain, unknown, wrong, right):
        assert "secret word" not in text.out + text.err
    assert b"secret word" not in out + err + seen


def test_security_that_makes_no_sense(
    here: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value, says in (
        ("TLL_MILVUS_CA", "missing.pem", "TLL_MILVUS_CA names a file that can't be read"),
        ("TLL_MILVUS_CERT", __file__, "are set together or not at all"),
        ("TLL_MILVUS_TIMEOUT", "soon", "'soon' is not a number of seconds"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            with pytest.raises(UsageError, match=says):
                Store.open(server.address())


def test_errors_are_ours(here: Path, server: Served) -> None:
    """Whatever a Milvus says comes as an error of this project."""
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        connection = connect(located(server.address()))  # type: ignore[arg-type]
        connection.call("drop_collection", "photos_places")
        connection.close()
        with pytest.raises(TllError, match="Milvus says"):
            store.query(noise(0))

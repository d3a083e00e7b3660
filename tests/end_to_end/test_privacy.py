"""Nothing leaves the machine but what a command was told to fetch, and nothing of others is left in
the home folder: `wiretap` sees every process of commands that a person runs."""

from __future__ import annotations

import ast
import csv
import re
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from PIL import Image

import tiny
import wiretap
from pictures import fill_folder, noise
from tll_index.core import privacy
from wiretap import Tapped, python, run, tapped

ROOT = Path(__file__).resolve().parents[2]
OWN = "home/.local/share/tll-index"
"""Where a user's weights, lenses and cache are on Linux, by default."""
EXPECTED = (
    *(f"{OWN}/{folder}/" for folder in ("cache", "weights", "lenses")),
    *(f"work/{name}" for name in ("photos/", "pairs/", "many/", ".tll-index/", "store.db")),
    *(f"work/{name}" for name in ("page.html", "sheet.png", "why.png", "my.npz", "photos.parquet")),
)
"""How names of files may begin that are there afterwards: pictures, stores, what was asked for."""
LONG = 60
"""Seconds to wait for what libraries do after a while: ONNX Runtime waits some ten."""


def tll_index(*arguments: object) -> list[str]:
    """The command line, as a person starts it."""
    return python("-m", "tll_index", *arguments)


def told_nobody(seen: Tapped, code: int = 0) -> None:
    """Fail unless the program did its work, told nobody, and left no file but its own."""
    assert seen.code == code, (seen.out, seen.err)
    assert seen.pythons, "nobody listened"
    assert seen.left == []
    assert {name for name in seen.files() if not name.startswith(EXPECTED)} == set()


def person(folder: Path, networks: Path | None) -> Path:
    """Somebody's folders: pictures and pairs, and the networks as ONNX unless it is None."""
    if networks is not None:
        tiny.furnish(folder / OWN, networks)
    work = folder / "work"
    fill_folder(work / "photos", 12)
    for side in ("left", "right"):
        (work / "pairs/train" / side).mkdir(parents=True)
    for seed in range(12):
        noise(seed).save(work / f"pairs/train/left/l{seed}.png")
        mixed = Image.blend(noise(seed), noise(1000 + seed), 0.6)
        mixed.save(work / f"pairs/train/right/r{seed}.png")
    with (work / "pairs/train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("left", "right"), *((f"l{n}", f"r{n}") for n in range(12))])
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, furnished: Path) -> Path:
    """A person's folders, once `build` has run in them."""
    folder = person(tmp_path_factory.mktemp("person"), furnished)
    seen = run(tll_index("build", "photos"), folder)
    told_nobody(seen)
    assert seen.pythons > 1, "no decoder was heard"
    return folder


class _Loads(HTMLParser):
    """What a page makes its reader fetch by itself, which a link that may be followed does not."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "background", "action", "ping") or (
                name == "href" and tag != "a"
            ):
                self.found.add(value or "")


def loaded_by(page: str) -> set[str]:
    """What a page or a style sheet loads from anywhere but its own folder or server."""
    parser = _Loads()
    parser.feed(page)
    parser.found |= set(re.findall(r"""url\(\s*["']?([^"')]*)""", page))
    parser.found |= set(re.findall(r"""@import\s*["']([^"']*)""", page))
    return {name for name in parser.found if re.match(r"(?!data:)[a-z][a-z0-9+.-]*:|//", name)}


# -- who listens, hears --------------------------------------------------------

TALKS = """
import ctypes, socket, urllib.request

try:
    urllib.request.urlopen("http://by-proxy.invalid/")
except OSError:
    pass
socket.getaddrinfo("198.51.100.1", 9, flags=socket.AI_NUMERICHOST)
socket.socket(type=socket.SOCK_DGRAM).connect(("198.51.100.2", 9))  # which sends nothing

class Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint16), ("port", ctypes.c_uint16),
                ("host", ctypes.c_uint8 * 4), ("zero", ctypes.c_uint8 * 8)]

libc = ctypes.CDLL(None)
address = Address(socket.AF_INET, socket.htons(9), (198, 51, 100, 3))
libc.connect(libc.socket(socket.AF_INET, socket.SOCK_DGRAM, 0), ctypes.byref(address), 16)
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname())
"""


def test_who_listens_hears_everything(tmp_path: Path) -> None:
    """Also in a child, and what native code does; but not what stays here."""
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {TALKS!r}], check=True)"
    seen = run(python("-c", child), tmp_path)
    assert seen.code == 0 and seen.pythons == 2, seen.err
    heard = "\n".join(seen.left)
    assert "proxy: GET http://by-proxy.invalid/" in heard
    assert "python: socket.getaddrinfo ('198.51.100.1'" in heard
    assert "python: socket.connect ('198.51.100.2'" in heard
    if not wiretap.why_no_strace():
        assert heard.count("198.51.100.3") == 1 and "system: " in heard
    assert "127.0.0.1" not in heard.replace("by-proxy", "")


def test_native_code_is_heard(tmp_path: Path) -> None:
    if reason := wiretap.why_no_strace():
        pytest.skip(reason)
    seen = run(python("-c", TALKS), tmp_path)
    assert [line for line in seen.left if line.startswith("system: ") and "198.51.100.3" in line]


def test_this_onnxruntime_would_tell(tmp_path: Path) -> None:
    """So that the others can fail: left alone, the library leaves an id and more behind."""
    seen = run(python("-c", "import onnxruntime"), tmp_path)
    if not seen.files():
        pytest.skip("this version of ONNX Runtime has no telemetry")
    assert any(name.endswith("/.onnxruntime/deviceid") for name in seen.files())
    for name in seen.files():
        (tmp_path / name).unlink()
    told_nobody(run(python("-c", "import tll_index, onnxruntime"), tmp_path))


# -- commands ------------------------------------------------------------------

SMALL = ("--pca", 8, "--outputs", 4, "--epochs", 2, "--folds", 0)
COMMANDS = {
    "info": ["info"],
    "query": ["query", "photos/picture0003.png", "--html", "page.html", "--sheet", "sheet.png"],
    "pairs": ["pairs", "--html", "page.html"],
    "dupes": ["dupes", "--html", "page.html"],
    "why": ["why", "photos/picture0001.png", "photos/picture0002.png", "--out", "why.png"],
    "train": ["train", "pairs", *SMALL, "--out", "my.npz"],
    "export": ["export", "photos.parquet"],
    "verify": ["verify", "--deep"],
    "backbones": ["backbones"],
}
FAST = ("query", "export", "backbones")
"""The rest is left to `make test-all`."""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(arguments, id=name, marks=[pytest.mark.slow] * (name not in FAST))
        for name, arguments in COMMANDS.items()
    ],
)
def test_commands_tell_nobody(built: Path, arguments: list[object]) -> None:
    told_nobody(run(tll_index(*arguments), built))
    if "--html" in arguments:
        assert loaded_by((built / "work/page.html").read_text()) == set()


@pytest.mark.slow
def test_a_milvus_of_this_machine_tells_nobody(tmp_path: Path, furnished: Path) -> None:
    pytest.importorskip("milvus_lite", reason="the extra 'milvus' is not installed")
    folder = person(tmp_path, furnished)
    store = ("--store", "milvus-lite:store.db")
    told_nobody(run(tll_index("build", "photos", *store), folder))
    told_nobody(run(tll_index("query", "--sample", 2, *store), folder))


def test_python_tells_nobody(built: Path) -> None:
    asks = "for hit in tll_index.Store.open().query('photos/picture0003.png'): print(hit.path)"
    seen = run(python("-c", f"import tll_index\n{asks}"), built)
    told_nobody(seen)
    assert len(seen.out.splitlines()) > 5


@pytest.mark.slow
def test_the_first_build_tells_nobody(tmp_path: Path) -> None:
    """With torch, which exports the network."""
    told_nobody(run(tll_index("build", "photos"), person(tmp_path, None)))


@pytest.mark.slow
def test_ray_on_this_machine_tells_nobody(tmp_path: Path, furnished: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    folder = person(tmp_path, furnished)
    told_nobody(run(tll_index("build", "photos", "--on", "ray"), folder))


@pytest.mark.slow
def test_a_cloud_is_asked_for_credentials_unless_told(tmp_path: Path) -> None:
    """By Amazon's library, when a command names S3 and nobody has given it any."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    build = tll_index("build", "s3://bucket/pictures")
    seen = run(build, tmp_path)
    assert seen.code == 1 and seen.left, seen.err
    assert all(" http://169.254.169.254/latest/" in line for line in seen.left)
    told_nobody(run(build, tmp_path, {"AWS_EC2_METADATA_DISABLED": "true"}), 1)


# -- what lasts ----------------------------------------------------------------


def ask(url: str) -> None:
    """Do what the page does."""
    with httpx.Client(base_url=url, timeout=500, trust_env=False) as client:
        for path in ("", "static/app.js", "api/info", "api/docs", "api/openapi.json", "metrics"):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            if "html" in answer.headers["content-type"]:
                assert loaded_by(answer.text) == set()
        upload = ROOT / "docs/images/page_phone.jpg"
        kind = {"content-type": "image/jpeg"}
        found = client.post("api/query", content=upload.read_bytes(), headers=kind)
        assert found.status_code == 200, found.text
        assert len(found.json()["hits"]) == 12


def serve(built: Path, seconds: float) -> None:
    with tapped(tll_index("serve", "--port", 0), built) as (process, seen):
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        ask(url)
        time.sleep(seconds)
        ask(url)
        process.send_signal(signal.SIGTERM)
    told_nobody(seen, -signal.SIGTERM)


@pytest.mark.slow
def test_serve_tells_nobody(built: Path) -> None:
    serve(built, 0)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_serve_tells_nobody_for_long(built: Path) -> None:
    serve(built, LONG)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_build_tells_nobody(tmp_path: Path, furnished: Path) -> None:
    folder = person(tmp_path, furnished)
    fill_folder(folder / "work/many", LONG * 200)  # more than can be embedded in that time
    with tapped(tll_index("build", "many", "--quiet"), folder) as (process, seen):
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(LONG)
        process.send_signal(signal.SIGTERM)
    told_nobody(seen, -signal.SIGTERM)


KEEPS = """
import sys, time, tll_index
with tll_index.Store.open() as store:
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        assert len(store.query("photos/picture0003.png"))
        time.sleep(0.5)
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_python_tells_nobody_for_long(built: Path) -> None:
    told_nobody(run(python("-c", KEEPS, LONG), built))


def test_the_pages_own_files_load_nothing_from_elsewhere() -> None:
    """Whatever a browser made of its Content-Security-Policy."""
    assert loaded_by('<link href="//one/a"><style>@import "https://two/b"; b{c:url(http://d)}') == {
        *("//one/a", "https://two/b", "http://d")
    }
    for path in (ROOT / "web/static").iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")  # only a name
        assert loaded_by(text) == set(), path.name
        assert not re.search(r"""["'`(](\w+:)?//\w""", text), path.name


# -- the switches --------------------------------------------------------------


def test_children_inherit_the_switches(tmp_path: Path) -> None:
    """Whoever imports anything of ours first, whatever the variables were."""
    child = "import os; print(*(os.environ[name] for name in " + repr([*privacy.SWITCHES]) + "))"
    for first in ("tll_index", "tll_index.core.names", "tll_index.indexer.ray.worker"):
        code = f"import {first}, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        seen = run(python("-c", code), tmp_path)
        assert seen.out.split() == [*privacy.SWITCHES.values()]


CURIOUS = """
import sys, types
from dataclasses import replace
import tll_index
from tll_index.engine.backbones import network, registry

class Provider(types.ModuleType):
    def load(self, spec, weights):
        from huggingface_hub import hf_hub_download
        hf_hub_download("somebody/network", "config.json")

sys.modules["curious"] = Provider("curious")
network.load_network(replace(registry.spec_of(registry.DEFAULT), provider="curious"), None)
"""


def test_networks_are_loaded_without_the_hub(tmp_path: Path) -> None:
    """Whatever a provider's library would look up there."""
    seen = run(python("-c", CURIOUS), tmp_path)
    assert seen.code == 1 and "offline" in seen.err.lower(), seen.err
    assert seen.left == []


def test_one_door_to_onnxruntime() -> None:
    """Which makes sure of the switches before it opens."""
    guilty = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in ("tests", "build") and ".venv" not in str(path)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and "onnxruntime" in (getattr(node, "module", None), *(name.name for name in node.names))
    }
    assert guilty == {"core/privacy.py"}

"""With nothing but what `pip install .` brings, all works that is not an extra's; and what is an
extra's says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Result
from core_environment import link_into, make_core, requirements
from pictures import fill_folder, noise
from tll_index.core.extras import PARTS
from tll_index.engine.backbones.registry import DEFAULT
from training import OFFERED, PAIRS, UNPAIRED, draw_pairs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CLIP = "torch, open_clip_torch, timm, safetensors, huggingface_hub and onnx"
BY_CLIP = f"needs {CLIP}: pip install 'tll-index[clip]'"
BY_TRAIN = "training needs torch, scikit-learn and scipy: pip install 'tll-index[train]'"
FLOAT = ("--backbone", "efficientnet_lite0")


class Core:
    """A user who has installed the core alone. There are pictures, pairs and a lens of them, which
    somebody else has trained; and a store of the pictures, made with the core."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = make_core(folder / "core")
        self.work = folder / "work"
        fill_folder(self.work / "photos", 8)
        photograph = noise(99, 30, 20).resize((600, 400))
        photograph.save(self.work / "photos/large.jpg")
        photograph.resize((300, 200)).save(self.work / "photos/small.jpg")
        draw_pairs(self.work / "pairs")
        self.run(
            *("train", "pairs", "--out", "my.npz", "--pca", 8, "--outputs", 4, "--epochs", 1),
            *("--folds", 0, "-q", "--backbone", DEFAULT),
            python=Path(sys.executable),
        )
        self.ok("build", "photos", "--lens", "my.npz")

    def start(
        self, *arguments: object, python: Path | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start the command line among the pictures, with nothing of the tests' environment."""
        names = ("PATH", "LANG", "LC_ALL", "TMPDIR", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")
        own = {name: os.environ[name] for name in names if name in os.environ}
        return subprocess.Popen(
            [python or self.python, "-m", "tll_index", *map(str, arguments)],
            cwd=self.work,
            env={**own, "HOME": str(self.folder / "home"), "TLL_WORKERS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, python: Path | None = None) -> Result:
        """Run a command to its end."""
        process = self.start(*arguments, python=python)
        out, err = process.communicate(timeout=600)
        return Result(process.returncode, out, err)

    def ok(self, *arguments: object) -> str:
        """What a command prints that must succeed."""
        result = self.run(*arguments)
        assert result.code == 0, result
        return result.out

    def json(self, *arguments: object) -> Any:
        """The one line of JSON that it prints."""
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    return Core(tmp_path_factory.mktemp("user"))


def test_nothing_of_an_extra_is_there(core: Core) -> None:
    modules = sorted({module for part in PARTS.values() for module in part})
    code = f"import importlib.util as u; print([m for m in {modules} if u.find_spec(m)])"
    said = subprocess.check_output([core.python, "-c", code], cwd=core.folder, text=True)
    assert said == "[]\n"


def test_query_and_pairs(core: Core) -> None:
    pictures = ("--html", "page.html", "--sheet", "sheet.png")
    found = core.ok("query", "photos/large.jpg", "-k", 1, "--format", "paths", *pictures)
    assert found.strip().endswith("photos/small.jpg")
    assert (core.work / "page.html").is_file() and (core.work / "sheet.png").is_file()
    assert core.ok("pairs", "--top", 2, "--html", "pairs.html")


def test_dupes(core: Core) -> None:
    group = core.json("dupes")
    names = sorted(Path(copy["path"]).name for copy in group["copies"])
    assert names == ["large.jpg", "small.jpg"]


def test_care_and_exchange(core: Core) -> None:
    assert core.json("info")["images"] == 10
    for command in (
        ("verify",),
        ("export", "out.npz"),
        ("backup", "backup.tll"),
        ("copy", ".tll-index", "copy.tll"),
        ("repair", "--store", "copy.tll"),
        ("forget", "photos/picture0001.png", "--store", "copy.tll"),
        ("merge", "copy.tll", "--store", "backup.tll"),
        ("backbones",),
        ("build",),
    ):
        core.ok(*command)
    assert len(np.load(core.work / "out.npz")["vectors"]) == 10


def test_eval_and_submit(core: Core) -> None:
    assert core.json("eval", "pairs", "--lens", "my.npz", "--split", "all")["pairs"] == PAIRS
    assert core.json("eval", "pairs", "--lens", "none", "--folds", 2)["pairs"] == PAIRS
    core.ok("submit", "pairs", "--lens", "my.npz", "--out", "submission.csv")
    lines = (core.work / "submission.csv").read_text().splitlines()
    assert len(lines) == 1 + UNPAIRED and lines[0].count(",") == OFFERED


def test_the_float_network(core: Core) -> None:
    core.ok("build", "photos", *FLOAT, "--lens", "none", "--store", "float.tll")
    found = core.ok(
        *("query", "photos/large.jpg", "-k", 1, "--format", "paths"), "--store", "float.tll"
    )
    assert found.strip().endswith("photos/small.jpg")


def test_serve_with_its_extra(core: Core) -> None:
    link_into(core.folder / "serve", requirements("serve"))
    process = core.start("serve", "--port", 0, PYTHONPATH=str(core.folder / "serve"))
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        token = address.partition("#")[2]
        assert address.startswith("http://127.0.0.1:"), process.communicate()
        with urllib.request.urlopen(address.partition("#")[0]) as page:
            assert page.status == 200 and token is not None
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("train pairs --out x.npz", BY_TRAIN),
        ("eval pairs", BY_TRAIN),
        ("eval pairs --lens my.npz", BY_TRAIN),
        ("backbones fetch clip_rn50x4", "fetching clip_rn50x4 needs huggingface_hub: pip install"),
        ("build photos --backbone clip_rn50x4 --store x.tll", f"backbone clip_rn50x4 {BY_CLIP}"),
        ("build photos --text --store x.tll", f"backbone clip_rn50x4 {BY_CLIP}"),
        ("submit pairs --backbone resnet50 --out x.csv", f"backbone resnet50 {BY_CLIP}"),
        ("eval pairs --backbone vgg16 --lens none", f"backbone vgg16 {BY_CLIP}"),
        (
            "build photos --backbone efficientnet_lite0 --device cuda --store x.tll",
            f"device cuda {BY_CLIP}",
        ),
        (
            "build photos --backbone efficientnet_lite0 --runtime torch --store x.tll",
            f"runtime torch {BY_CLIP}",
        ),
        ("watch photos --store x.tll", "watch needs watchdog: pip install 'tll-index[watch]'"),
        (
            "serve",
            "serve needs fastapi, uvicorn, python-multipart and prometheus-client: pip install",
        ),
        ("export out.parquet", "Parquet needs pyarrow: pip install 'tll-index[tables]'"),
        (
            "build photos --on ray --store x.tll",
            "a build on Ray needs ray and pyarrow: pip install 'tll-index[ray]'",
        ),
        (
            "build s3://bucket/photos --store x.tll",
            "s3:// needs fsspec: pip install 'tll-index[urls]'",
        ),
        (
            "info --store milvus://127.0.0.1:1/x",
            "a store in a Milvus needs pymilvus: pip install 'tll-index[milvus]'",
        ),
    ],
)
def test_what_is_missing_is_said(core: Core, command: str, says: str) -> None:
    """In one line, before anything is done."""
    before = sorted(core.work.rglob("*"))
    result = core.run(*command.split())
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"tll-index: {says}") and result.err.count("\n") == 1
    assert sorted(core.work.rglob("*")) == before


def test_why(core: Core) -> None:
    for store in ((), FLOAT):
        pictures = ("why", "photos/large.jpg", "photos/small.jpg", *store)
        assert core.json(*pictures, "--out", "why.png")["cosine"] > 0.5
        assert (core.work / "why.png").is_file()

"""Finding, choosing and fetching weights: the hub is a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import wiretap
from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError, WeightsError
from tll_index.engine.backbones.registry import DEFAULT, WITHOUT_FACES, spec_of
from tll_index.engine.backbones.weights import fetch as fetch_weights
from tll_index.engine.backbones.weights import find
from tll_index.engine.lens.embedder import choose_backbone
from tll_index.engine.lens.lens import Lens

PUBLISHED = np.random.default_rng(0).bytes(300_000)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download needs."""

    served = PUBLISHED
    asked: ClassVar[list[tuple[str, str, dict[str, str]]]] = []
    """Method, path and headers of each request."""

    def _answer(self, with_body: bool) -> None:
        self.asked.append(
            (self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        )
        if self.path == "/plain/published.pth":  # a file as any server has it, without a digest
            self.send_response(200)
            self.send_header("Content-Length", str(len(PUBLISHED)))
            self.end_headers()
            self.wfile.write(self.served)
            return
        if not self.path.endswith("/resolve/main/open_clip_model.safetensors"):
            self.send_error(404)
            return
        start = 0
        if requested := self.headers.get("Range"):
            start = int(requested.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.served) - start))
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("X-Linked-Size", str(len(PUBLISHED)))
        self.send_header("ETag", f'"{hashlib.sha256(PUBLISHED).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Xet-Hash", "a" * 64)  # it would be had faster from another host
        self.send_header("X-Xet-Refresh-Route", "/api/models/some/xet-read-token/1")
        self.end_headers()
        if with_body:
            self.wfile.write(self.served[start:])

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(home: Path, endpoint: str, offline: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tll_index.cli", "backbones", "fetch", "clip_rn50x4"],
        env={
            **os.environ,
            "TLL_HOME": str(home),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_OFFLINE": str(int(offline)),
        },
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_fetch_downloads_and_checks(home: Path, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = home / "weights" / "clip_rn50x4.safetensors"
    ended = fetch(home, hub)
    assert (ended.returncode, ended.stdout) == (0, f"wrote {target}\n"), ended.stderr
    assert target.read_bytes() == PUBLISHED
    assert find(spec_of("clip_rn50x4"), home / "weights") == target
    target.unlink()
    monkeypatch.setattr(Hub, "served", PUBLISHED[:-1] + b"!")  # damaged on the way
    ended = fetch(home, hub)
    assert ended.returncode == 1 and "damaged; fetch it again" in ended.stderr
    assert not target.exists()


def test_fetch_says_no_more_than_it_must(tmp_path: Path, hub: str) -> None:
    """Not who is logged in, nor what is installed; only the file is asked for; nothing else is left
    in the home folder. A token is sent where it is named for this."""
    login = tmp_path / "home/.cache/huggingface/token"
    login.parent.mkdir(parents=True)
    login.write_text("hf_secret")
    command = wiretap.python("-m", "tll_index", "backbones", "fetch", "clip_rn50x4")
    seen = wiretap.run(command, tmp_path, {"HF_ENDPOINT": hub})
    assert seen.code == 0 and seen.left == [], seen
    assert {
        name for name in seen.files() if not name.startswith("home/.local/share/tll-index/")
    } == {"home/.cache/huggingface/token"}
    for _, path, headers in Hub.asked:
        assert path.endswith("/resolve/main/open_clip_model.safetensors")
        assert "authorization" not in headers and "cookie" not in headers
        assert not re.search("torch|agent|tll", headers["user-agent"])
    (tmp_path / "home/.local/share/tll-index/weights/clip_rn50x4.safetensors").unlink()
    Hub.asked.clear()
    wiretap.run(command, tmp_path, {"HF_ENDPOINT": hub, "HF_TOKEN": "hf_named"})
    assert Hub.asked and all(
        headers["authorization"] == "Bearer hf_named" for *_, headers in Hub.asked
    )


@pytest.mark.parametrize("offline", [True, False])
def test_fetch_without_a_network_says_what_to_do(home: Path, offline: bool) -> None:
    ended = fetch(home, "http://127.0.0.1:9", offline)
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "can't download clip_rn50x4" in ended.stderr
    assert "put it here as" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("digits", [0, 8, 64])
def test_fetch_from_a_plain_server(
    digits: int,
    home: Path,
    hub: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Held against as much of the digest as is published, and the length that is announced."""
    digest = hashlib.sha256(PUBLISHED).hexdigest()[:digits]
    spec = replace(
        spec_of("dino_resnet50"), url=f"{hub}/plain/published.pth", sha256=digest or None
    )
    target = home / "weights" / "dino_resnet50.pth"
    assert fetch_weights(spec, home / "weights") == target
    assert target.read_bytes() == PUBLISHED and find(spec, home / "weights") == target
    assert "published.pth" in capfd.readouterr().err  # progress
    target.unlink()
    monkeypatch.setattr(Hub, "served", PUBLISHED[:-9])  # the connection breaks
    with pytest.raises(WeightsError, match=r"can't download .*the connection ended after 299991"):
        fetch_weights(spec, home / "weights")
    assert not target.exists()
    monkeypatch.setattr(Hub, "served", PUBLISHED[:-1] + b"!")  # damaged on the way
    if digits:
        with pytest.raises(WeightsError, match="damaged; fetch it again"):
            fetch_weights(spec, home / "weights")
        assert not target.exists()
    monkeypatch.setattr(Hub, "served", PUBLISHED)
    assert fetch_weights(spec, home / "weights").read_bytes() == PUBLISHED


def test_fetch_from_a_server_that_is_not_there_says_what_to_do(home: Path, hub: str) -> None:
    for server, reason in (("http://127.0.0.1:9", "refused"), (hub, "404")):
        spec = replace(spec_of("facenet"), url=f"{server}/20180402.pt")
        with pytest.raises(WeightsError, match=f"can't download facenet from .*{reason}") as error:
            fetch_weights(spec, home / "weights")
        message = str(error.value)
        put = home / "weights" / "facenet.pt"
        assert message.endswith(f"download that file and put it here as {put}")
        assert spec.url in message and "\n" not in message and not put.exists()


def test_auto_needs_weights_and_a_lens(home: Path) -> None:
    settings = load_settings(runtime="auto", device="cpu")
    choice = choose_backbone(settings)
    assert choice.backbone == DEFAULT
    assert choice.why == "bundled; clip_rn50x4 would need weights and a trained lens"
    (home / "weights" / "clip_rn50x4.safetensors").touch()
    choice = choose_backbone(settings)
    assert choice.backbone == DEFAULT and "need a trained lens" in choice.why
    (home / "lenses").mkdir()
    features = spec_of("clip_rn50x4").dimension
    Lens("clip_rn50x4", features, adaptation=np.ones((4, features), np.float32)).save(
        home / "lenses" / "clip_rn50x4.npz"
    )
    assert choose_backbone(settings).backbone == "clip_rn50x4"


def test_auto_is_in_float_where_8_bits_would_not_do(home: Path) -> None:
    """On a GPU, in torch, or for somebody who has trained a lens for the float network."""
    for chosen, why in (({"device": "cuda"}, "for device cuda"), ({"runtime": "torch"}, "torch")):
        choice = choose_backbone(load_settings(**chosen))
        assert choice.backbone == "efficientnet_lite0" and why in choice.why
    settings = load_settings(runtime="auto", device="cpu")
    (home / "lenses").mkdir()
    (home / "lenses/efficientnet_lite0.npz").touch()
    choice = choose_backbone(settings)
    assert choice.backbone == "efficientnet_lite0" and "a lens of your own" in choice.why
    (home / "lenses/efficientnet_lite0_int8.npz").touch()
    choice = choose_backbone(settings)
    assert choice.backbone == "efficientnet_lite0_int8" and "a lens of your own" in choice.why
    (home / f"lenses/{DEFAULT}.npz").touch()
    assert choose_backbone(settings).backbone == DEFAULT


def test_auto_goes_without_faces_where_they_are_off(home: Path) -> None:
    settings = load_settings(runtime="auto", device="cpu", faces="off")
    choice = choose_backbone(settings)
    assert choice.backbone == WITHOUT_FACES[DEFAULT] and "without faces" in choice.why
    (home / "lenses").mkdir()
    (home / f"lenses/{DEFAULT}.npz").touch()
    assert choose_backbone(settings).backbone == WITHOUT_FACES[DEFAULT]
    with pytest.raises(UsageError, match="--faces: 'maybe' is none of on, off"):
        load_settings(faces="maybe")


def test_unknown_backbone_lists_the_known() -> None:
    with pytest.raises(
        UsageError, match=r"unknown backbone 'resnet9000'; choose one of: effic.*clip"
    ):
        spec_of("resnet9000")


def test_weights_dir_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("TLL_WEIGHTS_DIR", str(tmp_path))
    assert load_settings().weights_dir == tmp_path
    assert find(spec_of("clip_rn101"), tmp_path) is None
    for suffix in (".bin", ".pth", ".pt", ".safetensors"):  # the best last
        (tmp_path / f"clip_rn101{suffix}").touch()
        assert find(spec_of("clip_rn101"), tmp_path) == tmp_path / f"clip_rn101{suffix}"

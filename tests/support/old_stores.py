"""What a store answers, written down so that it can be held against what one answered earlier.

Used by `tests/data/old_stores/make.py`, which records, and by `test_old_stores.py`, which compares.
Both speak to a store only as a user does: through the command line and the names of `tll_index`.
"""

from __future__ import annotations

import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from tll_index import Store, verify

DATA = Path(__file__).parent.parent / "data/old_stores"
STORE = "store"
"""Name of a store's folder, beside that of its pictures."""
HITS = 8
CLOSE = 2.5e-6
"""Inner products have six decimals, of which the last may round either way; a score is up to twice
as much (`Lens.scale`)."""

Run = Callable[..., str]
"""Runs the command line in this process; returns what it printed. Fails unless it ended well."""

_SAME_ALWAYS = (
    *("format", "created", "made_with", "folders", "rules", "images", "paths", "files"),
    *("unusable_files", "backbone", "weights_sha256", "lens", "dimension", "metric", "model"),
)
"""What `info` says that no machine changes."""


def names() -> list[str]:
    """Of all old stores."""
    return sorted(path.stem for path in DATA.glob("*.json") if path.stem != "lenses")


def unpack(name: str, folder: Path) -> None:
    """Put the old store `folder/store` where a test wants it, its pictures beside it."""
    with tarfile.open(DATA / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")


def answers(run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    """What the store in the current folder says; paths are relative to that folder.

    Args:
        asked: `store`, `pictures` and `texts` to ask with, and whether there may be `pairs` and
            `dupes`.
    """
    pictures: Sequence[str] = asked["pictures"]
    where = asked["store"]
    with Store.open(where) as store:
        hits = {one: [[hit.path, hit.score] for hit in store.query(one, HITS)] for one in pictures}
        texts = {
            text: [[hit.path, hit.score] for hit in store.query(text=text, k=HITS)]
            for text in asked["texts"]
        }
        if asked["texts"]:
            mixed = store.query(pictures[0], HITS, text=asked["texts"][0], minus=[pictures[1]])
            texts["mixed"] = [[hit.path, hit.score] for hit in mixed]
        info = store.info()
        said = {
            "info": {key: info[key] for key in _SAME_ALWAYS if key in info},
            "len": len(store),
            "sample": store.sample(1000),
        }
    printed: dict[str, list[list[Any]]] = {one: [] for one in pictures}
    for row in _lines(run("query", *pictures, "-k", HITS, "--json", "--store", where)):
        printed[row["query"].removeprefix(f"{Path.cwd()}/")].append([row["path"], row["score"]])
    assert printed == hits, "the command line answers as Python does"
    if texts:
        text = asked["texts"][0]
        lines = _lines(run("query", "--text", text, "-k", HITS, "--json", "--store", where))
        assert [[row["path"], row["score"]] for row in lines] == texts[text]
    told = json.loads(run("info", "--json", "--store", where))
    assert {key: told[key] for key in said["info"]} == said["info"]
    rows = vectors(run, where)
    if info["backbone"] == "imported":  # what has no file here is known by where it would be
        rows = dict.fromkeys(sorted(rows.values()), "")
    said |= {"hits": hits, "texts": texts, "vectors": rows}
    if where == STORE:  # a Milvus looks after its data itself
        said["whole"] = verify(where, deep=True).whole
    if asked["dupes"]:
        said["dupes"] = [*_lines(run("dupes", "--json", "-q", "--workers", 1, "--store", where))]
    if asked["pairs"]:
        few = ("--top", 5, "--workers", 1)
        said["pairs"] = [*_lines(run("pairs", *few, "--json", "-q", "--store", where))]
    for group in said.get("dupes", ()):
        for file in group["copies"]:
            del file["same_file"]  # the file's number on this disk
    found: dict[str, Any] = json.loads(json.dumps(said).replace(f"{Path.cwd()}/", ""))
    return found


def _lines(printed: str) -> Iterator[dict[str, Any]]:
    return map(json.loads, printed.splitlines())


def vectors(run: Run, store: str) -> dict[str, str]:
    """Content's SHA-256 -> digest of the vector that the store keeps of it, to the last bit."""
    return {
        one[:16]: sha256(row.astype("<f4").tobytes()).hexdigest()[:16]
        for one, row in stored_vectors(run, store).items()
    }


def stored_vectors(run: Run, store: str) -> dict[str, np.ndarray]:
    """Content's SHA-256 -> the vector that the store keeps of it, (d,) float32."""
    run("export", "out.npz", "--vectors", "stored", "-q", "--store", store)
    with np.load("out.npz", allow_pickle=False) as arrays:
        found = zip(arrays["id"].astype(str).tolist(), arrays["vectors"], strict=True)
        rows = dict(sorted(found))
    Path("out.npz").unlink()
    return rows


def lens_answers(run: Run, lens: Path, backbone: str) -> dict[str, Any]:
    """What a new store with this lens keeps of some pictures of the current folder (by digest, six
    decimals), and the hits of one that is not in it."""
    made_by = ("--backbone", backbone, "--lens", lens, "--workers", 1)
    run("build", "photos/sub", *made_by, "--store", "of-lens", "-q")
    rows = stored_vectors(run, "of-lens")
    with Store.open("of-lens") as store:
        said = {"lens": store.info()["lens"], "dimension": store.info()["dimension"]}
        found = [[os.path.relpath(hit.path), hit.score] for hit in store.query("asked/p50.png")]
    vectors = {one[:16]: [round(float(x), 6) for x in row] for one, row in rows.items()}
    return {**said, "vectors": vectors, "hits": found}


def go_on(run: Run, steps: dict[str, Any]) -> None:
    """Take and give pictures, then let the store follow."""
    for gone in steps["removed"]:
        Path(gone).unlink()
    for before, after in steps["moved"]:
        Path(before).rename(after)
    for command in steps["commands"]:
        run(*command)


def differences(wanted: Any, found: Any, where: str = "") -> list[str]:
    """What tells two of `answers` apart, in words; floats may differ in their last decimal."""
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        alike = abs(wanted - found) <= CLOSE
        return [] if alike else [f"{where}: {found!r}, once {wanted!r}"]
    if isinstance(wanted, dict) and isinstance(found, dict):
        wrong = [f"{where}/{key}: only there once" for key in wanted.keys() - found.keys()]
        wrong += [f"{where}/{key}: not there once" for key in found.keys() - wanted.keys()]
        for key in wanted.keys() & found.keys():
            wrong += differences(wanted[key], found[key], f"{where}/{key}")
        return sorted(wrong)
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [line for at, two in pairs for line in differences(*two, f"{where}/{at}")]
    return [] if wanted == found else [f"{where}: {found!r}, once {wanted!r}"]


def write_clip_weights(path: Path) -> None:
    """Weights for the small ViT of `clips`, which depend on no library's way to begin a network."""
    import torch

    import clips

    network = clips.random_network(clips.VIT)
    state = network.state_dict()
    for name, value in state.items():
        if value.dim() and value.is_floating_point() and "mask" not in name:
            random = np.random.default_rng(zlib.crc32(name.encode()))
            values = random.random(tuple(value.shape), np.float32) - np.float32(0.5)
            state[name] = torch.from_numpy(values * np.float32(0.6))
    network.load_state_dict(state)
    clips.write_weights(network, path)


def as_a_user(home: Path) -> None:
    """Give a home the weights that the old stores want, beside those of the tiny backbone."""
    import clips

    (folder := home / "clips").mkdir()
    clips.install(folder)
    write_clip_weights(home / "weights" / f"{clips.VIT}.safetensors")
    os.environ["TLL_RUNTIME"] = "torch"

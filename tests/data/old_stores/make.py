"""Makes the stores and lenses of this folder with the commits that wrote such, and records what
the last of these commits says of them.

    python tests/data/old_stores/make.py            all of them: ten minutes
    python tests/data/old_stores/make.py NAME...    these; 'lenses' is one

It runs in a clone with its history, with the packages that `make test` installs. Each commit is
checked out below the system's temporary folder and imported as `tll_index` by a process of its own,
which runs the command line of that commit. So these are true stores, not today's made to look old.

Of a store there are two files. NAME.tar.xz holds `store`, the pictures that it is of and what is
needed to go on with it. NAME.json says which commit wrote it, what was asked (`asked`), what the
commit RECORDER answered (`before`), what was then done to the folder (`then`), and what it answered
after that (`after`). While they are made, the hits of the commit that wrote the store are compared
with those of RECORDER: they are the same to the sixth decimal.

To run it again once modules have moved, check out the commit that added it: what it asks with
(`tests/support/old_stores.py`) follows the code. Pictures are drawn here, from seeds. No two runs
make the same bytes: a store has a random name, and the time of its making.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
SUPPORT = HERE.parent.parent / "support"
RECORDER = "85ce753"
"""The commit before the restructuring."""
FIRST_LENS = "356d8ca"
"""The end of the first day: lenses of format 1. RECORDER refuses to search the stores of that day
already: what they say of layers and lenses is told otherwise since the next commit."""
FIRST = "25ecdf3"
"""The first whose stores RECORDER searches: format 1, networks run by torch."""
LAST_OF_1 = "227bc53"
"""The last that wrote format 1, with trained lenses and a choice of indexes."""
FIRST_OF_2 = "7eda894"
FIRST_OF_3 = "eaca382"
SIGNED = "6cc5dba"
"""The last that imported addresses with their signatures."""
AGE = 1_700_000_000
"""When all pictures were last changed, by their files."""
OF_THE_BUNDLED = "of the bundled backbone"
"""Too long to be kept but in the store that has it."""
MILVUS = "milvus-lite:store.db"
TEXTS = ("a red door", "snow at night")
BARE = ("build", "--store", "store", "-q", "--workers", 1)


@dataclass(frozen=True)
class Kind:
    """A store to be made."""

    commit: str
    build: tuple[object, ...]
    """Arguments of `build` or `import`, after what all of them get."""
    lens: str = ""
    """Which of `LENSES` it is built with."""
    command: str = "build"
    text: bool = False
    then: tuple[tuple[object, ...], ...] = (BARE,)
    store: str = "store"


TINY = ("photos", "--backbone", "tiny")
VIT = ("photos", "--backbone", "tll-test-vit")
RULES = ("--exclude", "*.gif", "--exclude", "private/", "--hidden", "--follow-links")
KINDS = {
    "format_1_first": Kind(FIRST, TINY, "format_1"),
    "format_1": Kind(LAST_OF_1, TINY, "format_2_trained_then"),
    "format_2_first": Kind(FIRST_OF_2, (*TINY, "--lens", "none")),
    "format_2": Kind(RECORDER, TINY, "format_2_hubs"),
    "format_2_hnsw": Kind(RECORDER, (*TINY, "--index", "hnsw"), "format_2_trained"),
    "format_2_bundled": Kind(RECORDER, ("photos",), OF_THE_BUNDLED),
    "format_3_first": Kind(FIRST_OF_3, (*VIT, "--text"), text=True),
    "format_3": Kind(RECORDER, (*VIT, "--text"), text=True),
    "format_4": Kind(RECORDER, (*TINY, *RULES), "format_2_hubs"),
    "format_4_text": Kind(RECORDER, (*VIT, "--text", *RULES), text=True),
    "imported": Kind(
        *(RECORDER, ("embeddings", "--model", "noise"), "", "import"),
        then=(("import", "more/embeddings", "--model", "noise", "--store", "store", "-q"),),
    ),
    "imported_signed": Kind(
        *(SIGNED, ("embeddings", "--model", "noise"), "", "import"),
        then=(("import", "more/embeddings", "--model", "noise", "--store", "store", "-q"),),
    ),
    "milvus_lite": Kind(  # of addresses, since paths of files are absolute there
        *(RECORDER, ("embeddings", "--model", "noise"), "", "import"),
        then=(("import", "more/embeddings", "--model", "noise", "--store", MILVUS, "-q"),),
        store=MILVUS,
    ),
    "imported_backbone": Kind(
        *(RECORDER, ("exported", "--backbone", "tiny"), "", "import"),
        then=(("build", "photos", "--store", "store", "-q", "--workers", 1),),
    ),
}
ADDRESSES = {"imported_signed": True, "milvus_lite": False}
"""Stores of what is at addresses, and whether these are signed."""
LENSES = {
    "format_1": FIRST_LENS,
    "format_2_trained_then": LAST_OF_1,
    "format_2_trained": RECORDER,
    "format_2_hubs": RECORDER,
    "format_2_relu_grey": RECORDER,
}


# -- pictures -----------------------------------------------------------------


def drawn(seed: int, size: int = 64) -> Image.Image:
    """A picture like no other: blocks, and a disc over them."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((size, size), Image.Resampling.NEAREST)
    left, top, *colour = random.integers(0, 256, 5).tolist()
    at = (left * size // 512, top * size // 512)
    box = (*at, at[0] + size // 2, at[1] + size // 3)
    ImageDraw.Draw(image).ellipse(box, fill=tuple(colour))
    return image


def draw(folder: Path) -> None:
    """`photos`, what is to come into it (`more`), and pictures that are only asked with."""
    for name in ("photos/sub", "photos/private", "photos/.hidden", "more", "asked", "elsewhere"):
        (folder / name).mkdir(parents=True)
    for seed in range(14):
        drawn(seed).save(folder / f"photos/p{seed:02}.png")
    for seed in range(14, 17):
        drawn(seed).save(folder / f"photos/sub/p{seed:02}.png")
    photos = folder / "photos"
    shutil.copy(photos / "p03.png", photos / "sub/copy of p03.png")
    os.link(photos / "p04.png", photos / "sub/p04 linked.png")
    (photos / "p05 by link.png").symlink_to("p05.png")
    (photos / "elsewhere").symlink_to("../elsewhere")
    drawn(30).save(folder / "elsewhere/p30.png")
    drawn(6, 128).save(photos / "p06 large.png")
    drawn(31).save(photos / "private/p31.png")
    drawn(32).save(photos / ".hidden/p32.png")
    drawn(33).save(photos / "p33.gif")
    drawn(34).save(photos / "p34.jpg", quality=90)
    drawn(35).save(photos / "p35.webp", lossless=True)
    clear = drawn(36).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(photos / "p36 clear.png")
    deep = np.random.default_rng(37).integers(0, 1 << 14, (4, 4)).repeat(16, 0).repeat(16, 1)
    Image.fromarray(deep.astype(np.uint16)).save(photos / "p37 deep.png")
    (photos / "broken.png").write_bytes((photos / "p07.png").read_bytes()[:100])
    (photos / "none.txt").write_text("no picture")
    drawn(40).save(folder / "more/p40.png")
    drawn(41).save(folder / "more/p41 private.png")
    drawn(50).save(folder / "asked/p50.png")
    drawn(8, 96).crop((20, 10, 90, 80)).save(folder / "asked/part of p08.png")


def write_embeddings(folder: Path, rows: list[str], column: str, seed: int) -> None:
    """In clip-retrieval's layout, by no network."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    vectors = np.random.default_rng(seed).normal(size=(len(rows), 8)).astype(np.float16)
    np.save(folder / "img_emb/img_emb_0.npy", vectors)
    table = pa.Table.from_pylist([{column: row} for row in rows])
    pq.write_table(table, folder / "metadata/metadata_0.parquet")


def furnish(name: str, folder: Path) -> None:
    """Everything that is in the archive beside the store."""
    draw(folder)
    if name == "imported":
        rows = [f"photos/p{seed:02}.png" for seed in range(10)]
        write_embeddings(folder / "embeddings", [*rows, "gone/one.png"], "image_path", 1)
        write_embeddings(folder / "more/embeddings", ["photos/p11.png", *rows[:1]], "image_path", 2)
    if name in ADDRESSES:
        rows = [addressed(seed, ADDRESSES[name]) for seed in range(6)]
        write_embeddings(folder / "embeddings", rows, "url", 1)
        write_embeddings(folder / "more/embeddings", ["https://pictures.example/7.jpg"], "url", 2)
    for path in folder.rglob("*"):
        os.utime(path, (AGE, AGE), follow_symlinks=False)


def addressed(number: int, signed: bool = False) -> str:
    """Where a picture is said to be."""
    query = f"?X-Amz-Signature=5ec7e7{number}&X-Amz-Expires=60" if signed and number % 2 else ""
    return f"https://pictures.example/{number}.jpg{query}"


# -- in a process of an old commit --------------------------------------------


def run(*arguments: object) -> str:
    """The command line of the commit that is imported here."""
    from tll_index.cli import main

    sys.argv = ["tll-index", *map(str, arguments)]
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            main()
            code: Any = 0
        except SystemExit as end:
            code = end.code
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        printed = file.read().decode()
    if code:
        raise SystemExit(f"{arguments}: {code}\n{printed}")
    return printed


def settle_in(text: bool) -> None:
    """Have the backbones of the tests."""
    import tiny

    home = Path(os.environ["TLL_HOME"])
    for name in ("tiny", "tiny2"):
        tiny.write_weights(home / "weights" / f"{name}.safetensors")
    tiny.install()
    if text:
        from old_stores import as_a_user

        as_a_user(home)


def write_store(name: str) -> None:
    """Into the current folder, which is furnished."""
    kind = KINDS[name]
    settle_in(kind.text)
    if name == "imported_backbone":
        run("build", *TINY, "--lens", "none", "-q", "--workers", 1, "--store", "scratch")
        run("export", "exported", "--layout", "clip-retrieval", "-q", "--store", "scratch")
    if kind.lens == OF_THE_BUNDLED:
        write_bundled_lens(file := Path("exported.npz"))
    else:
        file = HERE / f"lenses/{kind.lens}.npz"
    lens = ("--lens", file) if kind.lens else ()
    run(kind.command, *kind.build, *lens, "-q", "--store", kind.store)
    Path("exported.npz").unlink(missing_ok=True)
    for scratch in ("scratch", "exported"):
        shutil.rmtree(scratch, ignore_errors=True)


def hits(name: str) -> dict[str, Any]:
    """What the writer itself answers, in Python."""
    from tll_index import Store

    settle_in(KINDS[name].text)
    with Store.open(KINDS[name].store) as store:
        found = {
            one: [[hit.path, hit.score] for hit in store.query(one, k=8)]
            for one in asked_of(name)["pictures"]
        }
    return json.loads(json.dumps(found).replace(f"{Path.cwd()}/", ""))  # type: ignore[no-any-return]


def asked_of(name: str) -> dict[str, Any]:
    """What is asked of the store."""
    kind = KINDS[name]
    pictures = ["photos/p02.png", "asked/p50.png", "asked/part of p08.png", "photos/p36 clear.png"]
    if name == "imported":
        pictures = ["photos/p02.png", "photos/p05.png"]
    if name in ADDRESSES:
        pictures = [addressed(2), addressed(4)]
    return {
        "store": kind.store,
        "pictures": pictures,
        "texts": list(TEXTS) if kind.text else [],
        "dupes": name in ("format_1", "format_2", "format_4", "imported"),
        "pairs": bool(kind.lens),
    }


def record(name: str) -> dict[str, Any]:
    """What this commit says of the store, before and after it goes on. The folder is changed."""
    from old_stores import answers, go_on

    kind, asked = KINDS[name], asked_of(name)
    settle_in(kind.text)
    follows = name != "imported" and name not in ADDRESSES
    moved = {
        "more/p40.png": "photos/sub/p40.png",
        "more/p41 private.png": "photos/private/p41.png",
        "photos/p09.png": "photos/sub/p09.png",
    }
    then = {
        "removed": ["photos/p01.png"] if follows else [],
        "moved": list(moved.items()) if follows else [],
        "commands": kind.then,
    }
    before = answers(run, asked)
    go_on(run, then)
    if follows:
        asked = {**asked, "pictures": [*asked["pictures"], "photos/sub/p40.png"]}
    return {
        "written_by": kind.commit,
        "recorded_by": RECORDER,
        "asked": asked_of(name),
        "before": before,
        "then": then,
        "asked_after": asked,
        "after": answers(run, asked),
    }


def write_lens(name: str) -> None:
    """Into HERE / 'lenses'."""
    settle_in(text=False)
    path = HERE / f"lenses/{name}.npz"
    path.parent.mkdir(exist_ok=True)
    if "trained" in name:
        for seed in range(40):
            for side, size in (("left", 64), ("right", 48)):
                Path("pairs", side).mkdir(parents=True, exist_ok=True)
                drawn(100 + seed, size).rotate(len(side)).save(f"pairs/{side}/{seed}.png")
        small = ("--pca", 10, "--outputs", 6, "--folds", 0)
        run("train", "pairs", "--backbone", "tiny", "--out", path, *small)
        return
    from tll_index import Lens

    backbone, width = "tiny", 16
    random = np.random.default_rng(4)
    mean = random.normal(size=width).astype(np.float32)
    components = random.normal(size=(8, width)).astype(np.float32)
    adaptation = random.normal(size=(6, 8)).astype(np.float32)
    if name == "format_1":
        Lens(backbone, width, mean=mean / 9, components=components, adaptation=adaptation).save(
            path
        )
    elif name == "format_2_relu_grey":
        Lens(backbone, width, adaptation=components, relu=True, grey=True).compact().save(path)
    else:
        from tll_index.engine.hubs import HubPenalty
        from tll_index.engine.lens import unit

        bank = unit(random.normal(size=(9, 6)).astype(np.float32))
        hubs = HubPenalty(bank, 2, 0.8)
        Lens(backbone, width, components=components, adaptation=adaptation, hubs=hubs).save(path)


def write_bundled_lens(path: Path) -> None:
    """Few of its values are other than 0, so that it is small when it is packed."""
    from tll_index import Lens
    from tll_index.engine.registry import spec_of

    backbone = "efficientnet_lite0"
    width = spec_of(backbone).dimension
    random = np.random.default_rng(4)
    few = np.where(random.random((6, width)) < 0.02, random.integers(-3, 4, (6, width)), 0)
    Lens(backbone, width, adaptation=few.astype(np.float32)).save(path)


def record_lens(name: str) -> dict[str, Any]:
    """What a store that is built with it keeps of a few pictures, and answers."""
    from old_stores import lens_answers

    settle_in(text=False)
    said = lens_answers(run, HERE / f"lenses/{name}.npz", "tiny")
    return {"written_by": LENSES[name], "recorded_by": RECORDER, **said}


# -- all of it -----------------------------------------------------------------


class Commits:
    """Old commits, each checked out once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, commit: str, what: str, name: str, here: Path) -> Any:
        """Run one of this file's functions in that commit, and return what it gave."""
        tree = self._tree(commit)
        home = self.folder / f"home-{commit}-{'text' in name or '3' in name}"
        if what != "write_lens":
            shutil.rmtree(home / "clips", ignore_errors=True)
        home.mkdir(exist_ok=True)
        result = self.folder / "result.json"
        folders = (tree.parent, tree / "tests", tree / "tests/support", SUPPORT)
        path = os.pathsep.join(map(str, folders))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TLL_")}
        environment = {**kept, "PYTHONPATH": path, "TLL_HOME": str(home), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, __file__, "--in-commit", what, name, str(result)]
        subprocess.run(command, cwd=here, env=environment, check=True)
        return json.loads(result.read_text())

    def _tree(self, commit: str) -> Path:
        tree = self.folder / commit / "tll_index"
        if not tree.exists():
            command = ("git", "worktree", "add", "--detach", tree, commit)
            subprocess.run(command, cwd=HERE, check=True, capture_output=True)
        return tree

    def remove(self) -> None:
        """Let git forget them."""
        for tree in self.folder.glob("*/tll_index"):
            command = ("git", "worktree", "remove", "--force", tree)
            subprocess.run(command, cwd=HERE, check=True)


@contextmanager
def commits() -> Iterator[tuple[Commits, Path]]:
    """Old commits, and a folder for what they write."""
    with tempfile.TemporaryDirectory() as folder:
        old = Commits(Path(folder) / "commits")
        old.folder.mkdir()
        try:
            yield old, Path(folder)
        finally:
            old.remove()


def make_lenses(old: Commits, scratch: Path) -> None:
    """All of `LENSES`, and lenses.json."""
    said = {}
    for name, commit in LENSES.items():
        (here := scratch / f"lens-{name}").mkdir()
        old.call(commit, "write_lens", name, here)
        draw(here / "drawn")
        said[name] = old.call(RECORDER, "record_lens", name, here / "drawn")
    write_json(HERE / "lenses.json", said)


def make_store(name: str, old: Commits, scratch: Path) -> None:
    """Its archive, and its answers."""
    here = scratch / name
    here.mkdir()
    furnish(name, here)
    old.call(KINDS[name].commit, "write_store", name, here)
    for lock in (*here.glob("store/*lock"), *here.glob("store*.lock")):
        lock.unlink()
    with tarfile.open(HERE / f"{name}.tar.xz", "w:xz", preset=9, format=tarfile.PAX_FORMAT) as file:
        for path in sorted(here.iterdir()):
            file.add(path, path.name, filter=anonymous)
    own = old.call(KINDS[name].commit, "hits", name, here)
    said = old.call(RECORDER, "record", name, here)
    sys.path.append(str(SUPPORT))
    if wrong := differences_of_hits(said["before"]["hits"], own):
        raise SystemExit(f"{name}: {KINDS[name].commit} answers otherwise: {wrong}")
    write_json(HERE / f"{name}.json", said)


def differences_of_hits(wanted: dict[str, Any], own: dict[str, Any]) -> list[str]:
    """What tells two of `hits` apart."""
    wrong = []
    for asked, rows in wanted.items():
        for one, other in zip(rows, own[asked], strict=True):
            if one[0] != other[0] or abs(one[1] - other[1]) > 1.5e-6:
                wrong.append(f"{asked}: {one}, {other}")
    return wrong


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose it was here is nobody's business."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def write_json(path: Path, document: dict[str, Any]) -> None:
    """A line a value or a hit, so that a difference can be read."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    path.write_text(
        re.sub(r"\[\s+([^][{},]+),\s+([^][{},]+?)\s+\]", r"[\1, \2]", text) + "\n", "utf-8"
    )


def main() -> None:
    if sys.argv[1:2] == ["--in-commit"]:
        what, name, result = sys.argv[2:]
        Path(result).write_text(json.dumps(globals()[what](name)))
        return
    wanted = sys.argv[1:] or ["lenses", *KINDS]
    with commits() as (old, scratch):
        for name in wanted:
            print(name, flush=True)
            if name == "lenses":
                make_lenses(old, scratch)
            else:
                make_store(name, old, scratch)


if __name__ == "__main__":
    main()

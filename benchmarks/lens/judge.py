"""Two lenses judged by eye, blind: `make judge`, or `python -m benchmarks.lens.judge A B`.

Sixty left pictures of Totally-Looks-Like's test split, always the same, are searched among all
other pictures of that split, once by A and once by B. `judge.html` shows the ten hits of both side
by side, and not which are whose: a person marks those that are look-alikes and saves the marks as
JSON. `--score results.json` then says how many of ten were, for each, and by how much
they differ. The page holds the pictures: it is for this machine, and never committed.

A and B: `shipped` (the lens that comes with the package), `none` (no lens), the file of a lens, or
a store, for its backbone and lens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from numpy.typing import NDArray

from tll_index import Store
from tll_index.core.config import Settings, load_settings
from tll_index.core.errors import DataError, TllError, UsageError
from tll_index.core.names import shown
from tll_index.core.progress import Progress
from tll_index.engine.backbones.feature_cache import gather
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.evaluation.metrics import bootstrap_interval
from tll_index.engine.images.decode import Limits, thumbnail
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.embedder import Embedder, load_embedder
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.lens import Lens
from tll_index.rendering.progress import Bars

from .. import harness

QUERIES = 60
HITS = 10
SEED = 2026
"""Of the queries and of who stands on the left; never changed, so that judgements compare."""
SIDE = 150
"""Of a picture on the page, in pixels."""
SIDES = ("left", "right")


@dataclass(frozen=True)
class Contest:
    """What two systems find for the same queries."""

    names: tuple[str, str]
    queries: tuple[Path, ...]
    hits: tuple[list[list[Path]], list[list[Path]]]
    """Of each system, the hits of each query, the best first."""

    @property
    def id(self) -> str:
        """Of this contest and of no other: its results name it."""
        told = [self.names, *([[path.name for path in row] for row in one] for one in self.hits)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def on_the_left(self) -> list[int]:
        """Which system's hits stand on the left, 0 or 1, for each query; by chance, yet the
        same for the same queries."""
        random = np.random.default_rng(SEED + 1)
        return random.integers(0, 2, len(self.queries)).tolist()


def main() -> None:
    """Make the page, or score what a person marked on it."""
    parser = harness.parser(
        __doc__, out=harness.OUT / "judge", prog="python -m benchmarks.lens.judge"
    )
    parser.add_argument("a", nargs="?", default="shipped", help="default: the shipped lens")
    parser.add_argument("b", nargs="?", default="none", help="default: no lens")
    parser.add_argument("--score", type=Path, metavar="RESULTS", help="what the page saved")
    chosen = parser.parse_args()
    try:
        if chosen.score is not None:
            key = _read(chosen.out / "key.json")
            found = scored(key, _read(chosen.score))
            harness.finish(table(found), harness.write_json(found, chosen.out / "score.json"))
            return
        data, settings = harness.require_tll(), load_settings()
        with Bars() as progress:
            contest = held(data, (chosen.a, chosen.b), settings, progress)
            text = page(contest, Limits.of(settings))
    except TllError as error:
        sys.exit(str(error))
    written = [
        harness.write_text(text, chosen.out / "judge.html"),
        harness.write_json(key_of(contest), chosen.out / "key.json"),
    ]
    harness.finish("open judge.html in a browser; key.json says which side is whose", *written)


# -- who finds what -------------------------------------------------------------------------------


def held(data: Path, names: tuple[str, str], settings: Settings, progress: Progress) -> Contest:
    """Search the fixed queries with both.

    Raises:
        UsageError: there is no test split, or no such lens or store.
        DataError, WeightsError, LensError
    """
    left, right = (sorted((data / "test" / side).glob("*.*")) for side in SIDES)
    if len(left) < 2:
        raise UsageError(f"{shown(data)} has no pictures in test/left")
    count = min(QUERIES, len(left))
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(left))[:count])
    pictures = [*left, *right]
    first, second = (
        hits_of(_embedder(name, settings), pictures, chosen, settings, progress) for name in names
    )
    return Contest(names, tuple(left[row] for row in chosen), (first, second))


def hits_of(
    embedder: Embedder,
    pictures: Sequence[Path],
    queries: NDArray[np.int64],
    settings: Settings,
    progress: Progress,
) -> list[list[Path]]:
    """The hits of some of the pictures, among all others."""
    features = gather(
        embedder.backbone, pictures, grey=embedder.lens.grey, settings=settings, progress=progress
    )
    inner = applied(embedder.lens.encode_query, features[queries])
    inner = inner @ applied(embedder.lens.encode_gallery, features).T
    inner[np.arange(len(queries)), queries] = -np.inf
    best = np.argsort(-inner, axis=1, kind="stable")[:, :HITS]
    return [[pictures[one] for one in row] for row in best]


def _embedder(name: str, settings: Settings) -> Embedder:
    if name in ("shipped", "none"):
        lens = None if name == "shipped" else "none"
        return load_embedder(DEFAULT, settings, lens=lens)
    if (path := Path(name)).is_dir():
        with Store.open(path, settings=settings) as store:
            return store.embedder
    if not path.is_file():
        raise UsageError(f"{shown(path)} is no lens and no store; or say shipped, or none")
    loaded = Lens.load(path)
    return load_embedder(loaded.backbone, settings, lens=loaded)


# -- the page -------------------------------------------------------------------------------------


def page(contest: Contest, limits: Limits) -> str:
    """The page, self-contained: pictures, style and script."""
    here = Path(__file__).resolve().parent
    jinja = Environment(loader=FileSystemLoader(here), autoescape=True, trim_blocks=True)
    script = (here / "judge.js").read_text("utf-8")
    return jinja.get_template("judge.html").render(
        data=_shown(contest, limits),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _shown(contest: Contest, limits: Limits) -> dict[str, Any]:
    """What the page knows: pictures and which are shown where, not by whom."""
    images: dict[str, str] = {}

    def named(path: Path) -> str:
        name = _name(path)
        if name not in images:
            small = thumbnail(read_bytes(path, limits), SIDE, limits)
            images[name] = "data:image/jpeg;base64," + base64.b64encode(small).decode("ascii")
        return name

    rows = []
    for row, (query, first) in enumerate(zip(contest.queries, contest.on_the_left(), strict=True)):
        shown_sides = (contest.hits[first][row], contest.hits[1 - first][row])
        rows.append(
            {
                "query": named(query),
                **{
                    side: [named(path) for path in some]
                    for side, some in zip(SIDES, shown_sides, strict=True)
                },
            }
        )
    return {"contest": contest.id, "rows": rows, "images": images}


def _name(path: Path) -> str:
    """Of a picture in results: with its folder, for both sides have files of the same name."""
    return f"{path.parent.name}/{path.name}"


def key_of(contest: Contest) -> dict[str, Any]:
    """What the page doesn't say: which hits are whose."""
    return {
        "contest": contest.id,
        "systems": list(contest.names),
        "queries": {
            _name(query): [[_name(path) for path in one[row]] for one in contest.hits]
            for row, query in enumerate(contest.queries)
        },
    }


# -- what it comes to -----------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(file)} can't be read: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{shown(file)} holds no results")
    return found


def scored(key: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Of ten hits, how many were look-alikes, for each system; and how much more the first has,
    with its 95% interval over queries. Queries that nobody looked at don't count.

    Raises:
        DataError: the results are of another page, or of no query.
    """
    if results.get("contest") != key["contest"]:
        raise DataError("these results are of another page than key.json")
    judged = results.get("judged")
    if not isinstance(judged, dict) or not judged or not judged.keys() <= key["queries"].keys():
        raise DataError("these results hold no query of the page")
    counts = np.array(
        [
            [len(set(marked) & set(hits)) for hits in key["queries"][query]]
            for query, marked in judged.items()
        ],
        np.float64,
    )
    more = counts[:, 0] - counts[:, 1]
    low, high = bootstrap_interval(more)
    return {
        "judged": len(counts),
        "queries": len(key["queries"]),
        "systems": [
            {"name": name, "of_ten": round(float(mean), 3)}
            for name, mean in zip(key["systems"], counts.mean(0), strict=True)
        ],
        "difference": [round(float(one), 3) for one in (more.mean(), low, high)],
        "wins": [int((more > 0).sum()), int((more < 0).sum())],
    }


def table(found: dict[str, Any]) -> str:
    """The figures for people, in Markdown."""
    header = ("", "look-alikes of ten", "more than the other")
    rows = [
        (one["name"], f"{one['of_ten']:.2f}", f"{wins} queries")
        for one, wins in zip(found["systems"], found["wins"], strict=True)
    ]
    mean, low, high = found["difference"]
    lines = [
        f"{found['judged']} of {found['queries']} queries judged.",
        "",
        *harness.markdown(header, rows),
        "",
        f"Difference, query by query: {mean:+.2f} ({low:+.2f} to {high:+.2f}).",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

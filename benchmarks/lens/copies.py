"""What `dupes` finds of made-up copies, beside imagededup: `python -m benchmarks.lens.copies`.

A store of the Totally-Looks-Like pictures (with `--store`, one that is there) gets changed copies
of some of them: two of each, as in real collections, and as many of every kind. `dupes` groups
them at its default threshold, as for anybody. For each kind of change: how many copies are
in one group with their original. imagededup's PHash and DHash at its own default (a distance of
10) get the same files. Wrong are groups with copies of two originals. Then the drawn kinds of
`near_kinds.py`, which are almost the same and are not: groups there are all false.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from tll_index import Store, build
from tll_index.core.config import load_settings
from tll_index.core.errors import TllError
from tll_index.indexer.analysis.duplicates.find import SAME, dupes
from tll_index.rendering.progress import Bars

from .. import harness
from .near_kinds import KINDS, font

Change = Callable[[Image.Image], bytes]
Groups = list[set[str]]

DISTANCE = 10
"""imagededup's default."""


def saved(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    image.save(out, format, **({"quality": 85} | options))
    return out.getvalue()


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """The same in another size."""
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """What is left after cutting these shares off its sides."""
    width, height = image.size
    edges = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return image.crop((round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3])))


def framed(image: Image.Image, share: float, colour: str) -> Image.Image:
    """With a frame of one colour, a share of its width wide."""
    return ImageOps.expand(image, round(share * image.width), colour)


def letterboxed(image: Image.Image, share: float) -> Image.Image:
    """Between black bars, each a share of its height."""
    return ImageOps.expand(image, (0, round(share * image.height)), "black")


def marked(image: Image.Image) -> Image.Image:
    """With a white word across it, half seen through."""
    layer = Image.new("RGBA", image.size)
    at = image.width / 2, image.height / 2
    draw = ImageDraw.Draw(layer)
    draw.text(at, "SAMPLE", (255, 255, 255, 128), font(image.width / 6), anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def signed(image: Image.Image) -> Image.Image:
    """With a line in a corner."""
    marked = image.copy()
    at = image.width - 5, image.height - 4
    draw = ImageDraw.Draw(marked)
    draw.text(at, "(c) example.com", "white", font(max(10, image.width / 16)), anchor="rd")
    return marked


def turned(way: Image.Transpose) -> Change:
    """Turned or mirrored so."""
    return lambda image: saved(image.transpose(way))


CHANGES: dict[str, Change] = {
    "JPEG, quality 75": lambda image: saved(image, quality=75),
    "JPEG, quality 30": lambda image: saved(image, quality=30),
    "half the size": lambda image: saved(scaled(image, 1 / 2)),
    "twice the size, WebP": lambda image: saved(scaled(image, 2), "WEBP", quality=60),
    "brighter": lambda image: saved(image.point(lambda v: min(255, int(1.15 * v + 8)))),
    "grey": lambda image: saved(image.convert("L")),
    "5% cut off each side": lambda image: saved(cut(image, *4 * (0.05,))),
    "10% cut off each side": lambda image: saved(cut(image, *4 * (0.1,))),
    "white border of 4%": lambda image: saved(framed(image, 0.04, "white")),
    "black frame of 12%": lambda image: saved(framed(image, 0.12, "black")),
    "black bars of 12%": lambda image: saved(letterboxed(image, 0.12)),
    "a mark across": lambda image: saved(marked(image)),
    "a line in a corner": lambda image: saved(signed(image)),
    "mirrored": turned(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90": turned(Image.Transpose.ROTATE_270),
    "turned by 180": turned(Image.Transpose.ROTATE_180),
    "turned by 270": turned(Image.Transpose.ROTATE_90),
}


def dealt(pictures: int, each: int, random: np.random.Generator) -> list[list[int]]:
    """Which kinds of change each picture gets, `each` of them, so that every kind is made of
    `pictures` of them (about: of one more or less)."""
    deck: list[int] = []
    hands = []
    for _ in range(-(-pictures * len(CHANGES) // each)):
        hand: list[int] = []
        while len(hand) < each:
            deck = deck or random.permutation(len(CHANGES)).tolist()
            card = next((card for card in deck if card not in hand), None)
            if card is None:  # the rest of the deck is in the hand
                deck += random.permutation(len(CHANGES)).tolist()
                continue
            deck.remove(card)
            hand.append(card)
        hands.append(hand)
    return hands


def make_copies(
    originals: Iterable[Path], hands: Iterable[list[int]], folder: Path
) -> dict[str, dict[str, str]]:
    """Write the changed copies, of each original in these kinds; kind -> path of a copy -> that of
    its original."""
    made: dict[str, dict[str, str]] = {name: {} for name in CHANGES}
    names = list(CHANGES)
    for row, (path, hand) in enumerate(zip(originals, hands, strict=False)):
        with Image.open(path) as image:
            picture = image.convert("RGB")
        for kind in hand:
            name, change = names[kind], CHANGES[names[kind]]
            copy = folder / f"{row:04}-{kind:02}.jpg"
            copy.write_bytes(change(picture))
            made[name][str(copy)] = str(path)
    return made


def found(made: dict[str, dict[str, str]], groups: Groups) -> dict[str, int]:
    """Of each kind, how many copies are in one group with their original."""
    together = {path: number for number, group in enumerate(groups) for path in group}
    return {
        name: sum(
            together.get(copy, -1) == together.get(original, -2)
            for copy, original in copies.items()
        )
        for name, copies in made.items()
    }


def peers(paths: list[str]) -> dict[str, Groups]:
    """What hangs together by imagededup's hashes: everything within the distance of a file is one
    group with it; overlapping, as it gives them."""
    from imagededup.methods import DHash, PHash

    groups = {}
    for name, method in (("PHash", PHash()), ("DHash", DHash())):
        codes = {path: method.encode_image(path) for path in paths}
        near = method.find_duplicates(
            encoding_map=codes, max_distance_threshold=DISTANCE, num_enc_workers=0
        )
        groups[name] = [{path, *others} for path, others in near.items() if others]
    return groups


def found_by_pairs(made: dict[str, dict[str, str]], groups: Groups) -> dict[str, int]:
    """As `found`, of groups that overlap."""
    pairs = {frozenset((one, other)) for group in groups for one in group for other in group}
    return {
        name: sum(frozenset(pair) in pairs for pair in copies.items())
        for name, copies in made.items()
    }


def joined_wrongly(made: dict[str, dict[str, str]], groups: Groups) -> int:
    """Groups with two of the originals, or copies of them."""
    original = {copy: path for copies in made.values() for copy, path in copies.items()}
    originals = set(original.values())
    wrong = 0
    for group in groups:
        shown = {original.get(path, path) for path in group}
        wrong += len(shown & originals) > 1
    return wrong


def drawn_kinds(scratch: Path, count: int) -> dict[str, int]:
    """Of each drawn kind, how many groups are found among pictures that are no copies."""
    wrong = {}
    for name, kind in KINDS.items():
        folder = scratch / name
        folder.mkdir()
        for number, image in enumerate(kind(np.random.default_rng(0), count)):
            image.save(folder / f"{number}.png")
        build([folder], store=scratch / f"{name}.store")
        wrong[name] = len(dupes(scratch / f"{name}.store"))
    return wrong


def table(result: dict[str, Any]) -> Iterator[str]:
    """What was found, in Markdown."""
    ways = list(result["found"])
    each = f"{result['pictures']} copies of each kind, {result['copies_of_each']} of a picture"
    yield f"{each}, among {result['collection']:,} pictures; threshold {SAME}."
    yield ""
    rows = [(name, *(str(result["found"][way][name]) for way in ways)) for name in CHANGES]
    wrong = (str(result["joined_wrongly"][way]) for way in ways)
    rows.append(("*groups of two originals*", *wrong))
    yield from harness.markdown(("copies found", *ways), rows)
    if result["drawn"]:
        groups = sum(result["drawn"].values())
        yield ""
        yield f"{groups} groups among {len(result['drawn'])} drawn kinds that are no copies."


def main() -> None:
    parser = harness.parser(
        __doc__, out=harness.OUT / "copies.json", prog="python -m benchmarks.lens.copies"
    )
    parser.add_argument("--pictures", type=int, default=150, help="of each kind (default 150)")
    parser.add_argument(
        "--each", type=int, default=2, help="copies of one picture (default 2; 17: all kinds)"
    )
    parser.add_argument("--store", type=Path, help="of all pictures; default: built for this")
    parser.add_argument("--drawn", type=int, default=6, help="of each drawn kind; 0: none")
    parser.add_argument("--no-peers", action="store_true", help="without imagededup")
    arguments = parser.parse_args()
    root = harness.require_tll()
    try:
        with tempfile.TemporaryDirectory() as scratch, Bars() as progress:
            path, copies = Path(scratch) / "store", Path(scratch) / "copies"
            copies.mkdir()
            if arguments.store is None:
                build([root / "train", root / "test"], store=path, progress=progress)
            else:
                shutil.copytree(arguments.store, path)
            with (
                Store.open(path, settings=load_settings()) as store,
                store.catalog.reading() as reader,
            ):
                numbers = reader.image_numbers()
                files = [reader.paths_of(int(number))[0].decode() for number in numbers]
            random = np.random.default_rng(0)
            rows = random.permutation(len(files))
            hands = dealt(arguments.pictures, min(arguments.each, len(CHANGES)), random)
            made = make_copies([Path(files[row]) for row in rows], hands, copies)
            build([copies], store=path, progress=progress)
            started = time.perf_counter()
            ours = [
                {copy.path for copy in group.copies} for group in dupes(path, progress=progress)
            ]
            seconds = time.perf_counter() - started
            shares = {"dupes": found(made, ours)}
            wrong = {"dupes": joined_wrongly(made, ours)}
            if not arguments.no_peers:
                every = files + [copy for kind in made.values() for copy in kind]
                for name, groups in peers(every).items():
                    shares[name] = found_by_pairs(made, groups)
                    wrong[name] = joined_wrongly(made, groups)
            result = {
                "machine": harness.machine(),
                "pictures": arguments.pictures,
                "copies_of_each": arguments.each,
                "collection": len(files),
                "seconds": round(seconds, 1),
                "found": shares,
                "joined_wrongly": wrong,
                "drawn": drawn_kinds(Path(scratch), arguments.drawn) if arguments.drawn else {},
            }
    except TllError as error:
        sys.exit(str(error))
    harness.finish("\n".join(table(result)), harness.write_json(result, arguments.out))


if __name__ == "__main__":
    main()

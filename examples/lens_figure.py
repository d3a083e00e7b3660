"""Draw what a lens does: the questions whose answers it changes most, without it and with it.

python examples/lens_figure.py docs/images/lens.jpg
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tll_index import Hits, Recipe, Store, build, contact_sheet

SHOWN, K = 4, 5


def answers(store: str, lens: str | None) -> dict[str, Hits]:
    """What looks most like each picture of the gallery, by path, in a store with that lens."""
    build(["gallery"], store=store, recipe=Recipe(lens=lens))
    with Store.open(store) as opened:
        paths = opened.sample(len(opened))
        return {path: opened.query(path, K) for path in paths if "photographs" not in path}


def kept(before: Hits, after: Hits) -> int:
    """How many answers are the same."""
    return len({hit.path for hit in before} & {hit.path for hit in after})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT.jpg")
    out = parser.parse_args().out.resolve()
    drawing = Path(__file__).resolve().parent / "gallery"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that names below pictures are short
        subprocess.run([sys.executable, drawing, "gallery"], check=True)
        plain, seen = answers("plain.tll", "none"), answers("lens.tll", None)
        most = sorted(plain, key=lambda path: (kept(plain[path], seen[path]), path))[:SHOWN]
        rows = [both[path] for path in most for both in (plain, seen)]
        sheet = contact_sheet(*rows, columns=K)
    sheet.thumbnail((1200, 2400))
    sheet.save(out, quality=80)
    same = sum(kept(plain[path], seen[path]) for path in plain) / len(plain)
    print(f"wrote {out}; of {K} answers {same:.1f} stay the same, over {len(plain)} questions")


if __name__ == "__main__":
    main()

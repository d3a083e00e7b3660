"""Draw the figures of docs/architecture.md: the rooms, the way of a picture, a query and a pair.

python examples/architecture_figures.py docs/images
"""

from __future__ import annotations

import argparse
from html import escape
from pathlib import Path

WIDTH = 920
HUES = {
    "face": ("#fde9df", "#c4562a"),
    "indexer": ("#e3eefb", "#2b62a6"),
    "engine": ("#e6f4e6", "#2f7d3b"),
    "core": ("#eeeeee", "#666666"),
    "file": ("#fff6d6", "#9a7b12"),
}
"""Fill and outline, by what a box belongs to."""

ROOMS = (
    ("face", "skins\nparse, show", (("commands", "shared"), ("web", "http, pictures, api"))),
    ("face", "", (("rendering", ""),)),
    (
        "indexer",
        "indexer\nremembers",
        (
            ("analysis", "duplicates"),
            ("transfer", ""),
            ("ingest", ""),
            ("ray", ""),
            ("decoding", ""),
            ("maintenance", ""),
        ),
    ),
    ("indexer", "", (("store", ""),)),
    ("indexer", "", (("backends", "folder, milvus"),)),
    ("indexer", "", (("vector_index", ""), ("catalog", ""), ("scan", ""))),
    ("engine", "engine\nsees, compares", (("explain", ""), ("lens", ""), ("evaluation", ""))),
    ("engine", "", (("backbones", "providers, bundled"), ("search", ""), ("near_duplicates", ""))),
    ("engine", "", (("images", "formats"), ("faces", ""), ("remote", ""))),
    ("core", "", (("core", "errors, settings, paths, progress, atomic files"),)),
)
"""Rows from the top: whose, the label at the left, and each room with what is in it. A room imports
rooms of rows below, and a few beside it."""

Box = tuple[int, int, str, str, str, str]
"""Column, row, name, what it does, whose it is, a label on the arrow that leads to it."""

PICTURE: tuple[Box, ...] = (
    (0, 0, "file", "on disk or at an address", "file", ""),
    (1, 0, "scan", "walk: new or changed?", "indexer", ""),
    (2, 0, "ingest", "SHA-256: known content?", "indexer", "changed"),
    (3, 0, "decoding", "processes with limits", "indexer", "new content"),
    (3, 1, "backbones", "two views, layers pooled", "engine", "RGB squares"),
    (2, 1, "lens", "PCA, linear map, length 1", "engine", "features"),
    (1, 1, "catalog", "LMDB, one transaction", "indexer", "128 numbers"),
    (0, 1, "vector_index", "FAISS, derived", "indexer", "follows"),
)
QUERY: tuple[Box, ...] = (
    (0, 0, "query picture", "path, bytes, pixels, crop", "file", ""),
    (1, 0, "images", "decoded, within limits", "engine", ""),
    (2, 0, "backbones", "the store's own network", "engine", "RGB square"),
    (3, 0, "lens", "query embedding", "engine", "features"),
    (3, 1, "vector_index", "proposes candidates", "indexer", "128 numbers"),
    (2, 1, "catalog", "exact vectors, filter", "indexer", "candidates"),
    (1, 1, "store", "hits: score, path, rank", "indexer", "exact scores"),
    (0, 1, "rendering, web", "table, HTML, sheet, page", "face", "hits"),
)
PAIR: tuple[Box, ...] = (
    (0, 0, "store", "every picture's vector", "indexer", ""),
    (1, 0, "vector_index", "ten nearest of each", "indexer", ""),
    (2, 0, "analysis", "keep mutual neighbours", "indexer", "neighbours"),
    (3, 0, "backbones", "plain features again", "engine", "candidates"),
    (3, 1, "near_duplicates", "drop the same picture", "engine", "two cosines"),
    (2, 1, "analysis", "drop one scene", "indexer", "different"),
    (1, 1, "analysis", "alike less half of plain", "indexer", "striking"),
    (0, 1, "rendering", "table, HTML, JSON", "face", "best first"),
)


def text(x: float, y: float, said: str, size: float, extra: str = "") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="middle"{extra}>'
        f"{escape(said)}</text>"
    )


def box(x: float, y: float, w: float, h: float, name: str, note: str, whose: str) -> list[str]:
    """A rounded box with its name, and a note below it."""
    fill, line = HUES[whose]
    middle = y + h / 2 + (5 if not note else -2)
    out = [
        f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" fill="{fill}" '
        f'stroke="{line}" stroke-width="1.5"/>',
        text(x + w / 2, middle, name, 15, ' font-weight="600"'),
    ]
    return out + ([text(x + w / 2, middle + 16, note, 11)] if note else [])


def arrow(x1: float, y1: float, x2: float, y2: float, said: str) -> list[str]:
    out = [
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#444" '
        'stroke-width="1.6" marker-end="url(#tip)"/>'
    ]
    if said and y1 == y2:
        out.append(text((x1 + x2) / 2, y1 - 7, said, 10.5))
    elif said:
        out.append(text(x1 - 44, (y1 + y2) / 2 + 4, said, 10.5))
    return out


def drawing(height: int, title: str, parts: list[str]) -> str:
    """The whole file: a light card, so that it can be read on a dark page as well."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="system-ui, sans-serif" fill="#222" role="img">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#444"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def rooms() -> str:
    left, top, high, gap = 130, 16, 46, 8
    parts: list[str] = []
    for row, (whose, label, named) in enumerate(ROOMS):
        y = top + row * (high + gap)
        for line, said in enumerate(label.split("\n") if label else ()):
            weight = ' font-weight="600"' if line == 0 else ""
            parts.append(text(left / 2, y + 22 + 15 * line, said, 13 - 2 * line, weight))
        each = (WIDTH - left - 16 - gap * (len(named) - 1)) / len(named)
        for column, (name, note) in enumerate(named):
            x = left + column * (each + gap)
            parts += box(x, y, each, high, name, note, whose)
    return drawing(top * 2 + len(ROOMS) * (high + gap) - gap, "The rooms of the package", parts)


def way(title: str, boxes: tuple[Box, ...]) -> str:
    """Boxes in two rows of four, from the upper left to the right, then below back to the left."""
    wide, high, across, down = 152, 56, 236, 116
    at = [(30 + column * across, 26 + row * down) for column, row, *_ in boxes]
    parts: list[str] = []
    for (x, y), (_, _, name, note, whose, said), before in zip(
        at, boxes, [None, *at], strict=False
    ):
        if before is not None:
            bx, by = before
            if y != by:
                parts += arrow(bx + wide / 2, by + high, x + wide / 2, y - 2, said)
            elif x > bx:
                parts += arrow(bx + wide, y + high / 2, x - 2, y + high / 2, said)
            else:
                parts += arrow(bx, y + high / 2, x + wide + 2, y + high / 2, said)
        parts += box(x, y, wide, high, name, note, whose)
    return drawing(26 + down + high + 26, title, parts)


def figures() -> dict[str, str]:
    """Each file's name and what is in it."""
    return {
        "architecture_rooms.svg": rooms(),
        "architecture_picture.svg": way("The way of a picture", PICTURE),
        "architecture_query.svg": way("The way of a query", QUERY),
        "architecture_pair.svg": way("The way of a pair", PAIR),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    out_dir = parser.parse_args().out_dir
    for name, svg in figures().items():
        (out_dir / name).write_text(svg)


if __name__ == "__main__":
    main()

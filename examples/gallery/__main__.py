"""Draw a small gallery of pictures of different things that look alike, to index and search.

About 120 pictures, the same each time, in folders by kind of thing. What shares a colour, shape or
texture is found across the folders, for example:

  round and orange      orange, pumpkin, fried egg, basketball, sunset, mars, lion, marigold
  stripes               zebra hide, tiger fur, barcode, piano keys, zebra crossing, birch wood
  checks and grids      chess board, kitchen floor, picnic, finish flag, honeycomb, brick wall
  spirals               snail, galaxy, lollipop, cinnamon roll, hypnosis
  tall and green        cactus, bottle, cucumber, caterpillar
  triangles             mountain, pyramids, pizza slice, tent, party hat, sailing boat
  faces                 plug socket, car front, cottage, bowling ball, owl, pig, button
  wheels and rings      doughnut, lifebelt, tree rings, vinyl record, daisy, kiwi slice
  dots                  ladybird, toadstool, die, strawberry, cookie, moon, polka dots
  waves and scales      rough sea, desert dunes, bacon, fish scales, roof tiles, seigaiha
  pears and crescents   penguin, aubergine, skittle, light bulb; banana, croissant, crescent moon
  photographs           crops of two: a temple, a flower
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from animals import ANIMALS
from food import FOOD
from objects import OBJECTS
from patterns import PATTERNS
from photographs import photographs
from places import PLACES
from plants import PLANTS


def drawings() -> Iterator[tuple[str, Image.Image]]:
    """The drawings and their paths in the gallery."""
    for drawing in (*ANIMALS, *FOOD, *OBJECTS, *PATTERNS, *PLACES, *PLANTS):
        yield drawing.name, drawing.drawn()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python examples/gallery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="folder, made if missing")
    out_dir = parser.parse_args().out_dir
    pictures = [*drawings(), *photographs()]
    for name, image in pictures:
        path = out_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90)
    print(f"{len(pictures)} pictures in {out_dir}")


if __name__ == "__main__":
    main()

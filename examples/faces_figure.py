"""Draw what faces are found: the drawn gallery's, and the free portrait that matplotlib carries.

python examples/faces_figure.py docs/images/faces.jpg
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from tll_index.engine.backbones.registry import DEFAULT, spec_of
from tll_index.engine.faces.detector import SURE, face_detector
from tll_index.engine.faces.face import Face

LEAST = 0.25
"""The least score that is drawn; those below SURE in grey, for these faces don't count."""
SIDE, CAPTION, COUNT = 200, 24, 6
GREEN, GREY = (0, 150, 60), (130, 130, 130)


def tile(image: Image.Image, face: Face) -> Image.Image:
    """A picture of SIDE pixels, with its face and how sure it is."""
    scale = SIDE / max(image.size)
    small = image.resize([max(1, round(side * scale)) for side in image.size])
    ground = Image.new("RGB", (SIDE, SIDE + CAPTION), "white")
    corner = (SIDE - small.width) // 2, (SIDE - small.height) // 2
    ground.paste(small, corner)
    pen = ImageDraw.Draw(ground)
    colour = GREEN if face.score >= SURE else GREY
    left, top, right, bottom = (edge * scale for edge in face.box)
    x, y = corner
    pen.rectangle((left + x, top + y, right + x, bottom + y), outline=colour, width=3)
    for px, py in face.points * scale + corner:
        pen.ellipse((px - 2, py - 2, px + 2, py + 2), fill=colour)
    font = ImageFont.load_default(16)
    text = f"{face.score:.2f}"
    pen.text((SIDE / 2, SIDE + CAPTION / 2), text, fill=colour, font=font, anchor="mm")
    return ground


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT.jpg")
    out = parser.parse_args().out
    drawing = Path(__file__).resolve().parent / "gallery"
    side, found = spec_of(DEFAULT).geometry.faces, []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, drawing, folder], check=True)
        portrait = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
        for path in [portrait, *sorted(Path(folder).rglob("*.*"))]:
            image = Image.open(path).convert("RGB")
            if faces := face_detector().find(image, side, LEAST):
                found.append((faces[0], image))
    found.sort(key=lambda one: -one[0].score)
    tiles = [tile(image, face) for face, image in found[:COUNT]]
    sheet = Image.new("RGB", (len(tiles) * (SIDE + 8) - 8, SIDE + CAPTION), "white")
    for number, one in enumerate(tiles):
        sheet.paste(one, (number * (SIDE + 8), 0))
    sheet.save(out, quality=85)
    print(f"wrote {out}: {len(tiles)} of {len(found)} found")


if __name__ == "__main__":
    main()

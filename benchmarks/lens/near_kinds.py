"""Drawn pictures that are almost the same and are not: what `dupes` must keep apart.

Each kind draws as many pictures as are asked for, alike in layout and different in what they say:
chats, invoices on one form, memes on one photograph, flags in other colours.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Kind = Callable[[np.random.Generator, int], list[Image.Image]]

_FONTS = Path("/usr/share/fonts/truetype/dejavu")
# fmt: off
_VOCABULARY = [
    "the", "of", "and", "we", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on",
    "are", "as", "with", "his", "they", "at", "be", "this", "have", "from", "or", "one", "had",
    "by", "word", "but", "not", "what", "all", "were", "when", "your", "can", "said", "there",
    "use", "an", "each", "which", "she", "do", "how", "their", "if", "will", "up", "other",
    "about", "out", "many", "then", "these", "so", "some", "her", "would", "make", "like",
    "him", "into", "time", "has", "look", "two", "more", "write", "go", "see", "number", "no",
    "way", "could", "people", "my", "than", "first", "water", "been", "call", "who", "oil",
    "its", "now", "find", "long", "down", "day", "did", "get", "Montag", "Straße", "für",
    "über", "nicht", "объект", "письмо", "время", "дом", "река", "город", "Αθήνα", "θάλασσα",
    "été", "déjà", "garçon",
]
# fmt: on


def font(size: float, name: str = "DejaVuSans") -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu where it is, else Pillow's own."""
    path = _FONTS / f"{name}.ttf"
    if path.exists():
        return ImageFont.truetype(str(path), round(size))
    return ImageFont.load_default(round(size))


def phrase(random: np.random.Generator, count: int) -> str:
    """So many words."""
    return " ".join(random.choice(_VOCABULARY, count))


def wrapped(random: np.random.Generator, lines: int, wide: int) -> str:
    """Lines of so many words."""
    return "\n".join(phrase(random, wide) for _ in range(lines))


def paint(random: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    """Any colour."""
    red, green, blue = random.integers(low, high, 3).tolist()
    return red, green, blue


def scene(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Like a photograph: details of all sizes."""
    image = Image.new("RGB", (width, height))
    for size in (3, 6, 12, 25, 50, 100):
        blocks = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        layer = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
        image = Image.blend(image, layer, 0.35)
    return image


def chats(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Screenshots of one app: bubbles at the same places, other texts."""
    dark = bool(random.integers(2))
    ground, mine, theirs, ink = (
        ((18, 18, 22), (0, 92, 75), (38, 45, 49), (235, 235, 235))
        if dark
        else ((236, 229, 221), (220, 248, 198), (255, 255, 255), (20, 20, 20))
    )
    scale = random.choice([0.5, 0.75, 1.0])
    width, height = int(720 * scale), int(1440 * scale)
    fixed = [(int(random.integers(1, 4)), bool(random.integers(2))) for _ in range(12)]
    drawn = []
    for _ in range(count):
        image = Image.new("RGB", (width, height), ground)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, width, 90 * scale), fill=mine)
        draw.text((30 * scale, 25 * scale), "Anna", ink, font(36 * scale))
        top = 120 * scale
        for lines, is_mine in fixed:
            tall = (30 + 40 * lines) * scale
            left = (220 if is_mine else 20) * scale
            box = (left, top, left + 480 * scale, top + tall)
            draw.rounded_rectangle(box, 16 * scale, fill=mine if is_mine else theirs)
            text = wrapped(random, lines, 4)
            draw.text((left + 18 * scale, top + 14 * scale), text, ink, font(26 * scale))
            top += tall + 20 * scale
        drawn.append(image)
    return drawn


def chats_with_one_more(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One chat, with another last message."""
    first = chats(random, 1)[0]
    width, height = first.size
    drawn = []
    for _ in range(count):
        image = first.copy()
        draw = ImageDraw.Draw(image)
        box = (width * 0.3, height * 0.9, width * 0.95, height * 0.97)
        draw.rounded_rectangle(box, 10, fill=first.getpixel((2, 2)))
        at = width * 0.33, height * 0.915
        draw.text(at, phrase(random, 4), (120, 160, 200), font(width / 28))
        drawn.append(image)
    return drawn


def invoices(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One form; other names, articles and sums."""
    scale = random.choice([0.7, 1.0, 1.4])
    width, height = int(827 * scale), int(1169 * scale)
    accent, drawn = paint(random, 0, 160), []
    for _ in range(count):
        image = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(image)

        def put(x: float, y: float, text: str, size: float = 15, ink: str = "black") -> None:
            draw.text((x * scale, y * scale), text, ink, font(size * scale))  # noqa: B023

        draw.rectangle((0, 0, width, 70 * scale), fill=accent)
        put(40, 20, "ACME GmbH  Rechnung", 28, "white")
        put(
            60, 130, f"{phrase(random, 2)}\n{phrase(random, 2)} {random.integers(1, 99)}\n12345 Ort"
        )
        put(520, 130, f"No. {random.integers(10000, 99999)}\nDate {random.integers(1, 28)}.05.2024")
        for row in range(14):
            top = 300 + 40 * row
            draw.line((50 * scale, top * scale, width - 50 * scale, top * scale), "grey")
            put(60, top + 8, str(row + 1))
            put(120, top + 8, phrase(random, 3))
            put(640, top + 8, f"{random.integers(1, 999)},{random.integers(10, 99)} EUR")
        put(560, 900, f"Total {random.integers(1000, 9999)},00 EUR", 20)
        put(60, 1050, "Bank: DE00 1234 5678 9000  -  Thank you for your order", 13, "grey")
        drawn.append(image)
    return drawn


def invoices_with_one_number(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One invoice; another total and number."""
    (first,) = invoices(random, 1)
    scale, drawn = first.width / 827, []
    for _ in range(count):
        image = first.copy()
        draw = ImageDraw.Draw(image)
        for x, y, size in ((520, 130, 18), (560, 900, 20)):
            box = (x * scale, y * scale, (x + 230) * scale, (y + 26) * scale)
            draw.rectangle(box, fill="white")
            number = f"No. {random.integers(10000, 99999)}"
            draw.text(box[:2], number, "black", font(size * scale))
        drawn.append(image)
    return drawn


def pages(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Scanned pages of one book."""
    size, name = random.choice([14, 18, 24]), str(random.choice(["DejaVuSerif", "DejaVuSans"]))
    drawn = []
    for number in range(count):
        image = Image.new("RGB", (600, 840), "white")
        draw = ImageDraw.Draw(image)
        text = wrapped(random, int(700 / (size * 1.4)), int(900 / size / 5))
        draw.multiline_text((60, 60), text, (30, 30, 30), font(size, name), spacing=size * 0.2)
        draw.text((290, 800), str(number + 10), "black", font(14, name))
        noise = random.normal(0, 3, (840, 600, 1))
        drawn.append(Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)))
    return drawn


def slides(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One template; other bullets."""
    ground, bar, ink = paint(random, 200), paint(random, 0, 150), (30, 30, 30)
    drawn = []
    for _ in range(count):
        image = Image.new("RGB", (960, 540), ground)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, 960, 90), fill=bar)
        draw.ellipse((860, 450, 940, 530), fill=bar)
        draw.text((40, 24), phrase(random, 4), "white", font(40, "DejaVuSans-Bold"))
        for row in range(5):
            draw.text((70, 130 + 70 * row), f"\N{BULLET} {phrase(random, 5)}", ink, font(30))
        drawn.append(image)
    return drawn


def memes(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One photograph, other captions."""
    width, height = 500, int(random.choice([360, 500, 620]))
    photo, drawn = scene(random, width, height), []
    for _ in range(count):
        image = photo.copy()
        draw = ImageDraw.Draw(image)
        for top in (0.03, 0.85):
            text = phrase(random, 3).upper()
            size = font(min(44, 800 / len(text)), "DejaVuSans-Bold")
            at = (width / 2, top * height)
            draw.text(at, text, "white", size, anchor="ma", stroke_width=3, stroke_fill="black")
        drawn.append(image)
    return drawn


def memes_with_a_bar(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One photograph below a white bar, which says something else."""
    photo, drawn = scene(random, 480, 400), []
    for _ in range(count):
        image = Image.new("RGB", (480, 480), "white")
        image.paste(photo, (0, 80))
        ImageDraw.Draw(image).text((10, 10), wrapped(random, 2, 4), "black", font(24))
        drawn.append(image)
    return drawn


def drawings(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Find the difference: one drawing, each time with another small thing."""
    base = Image.new("RGB", (480, 360), paint(random, 180))
    draw = ImageDraw.Draw(base)
    for _ in range(25):
        x, y = int(random.integers(0, 440)), int(random.integers(0, 320))
        w, h = random.integers(20, 120, 2).tolist()
        shape = draw.ellipse if random.integers(2) else draw.rectangle
        shape((x, y, x + w, y + h), fill=paint(random), outline="black", width=2)
    drawn = []
    for _ in range(count):
        image = base.copy()
        draw = ImageDraw.Draw(image)
        x, y = int(random.integers(20, 420)), int(random.integers(20, 300))
        side = int(random.integers(18, 40))
        draw.ellipse((x, y, x + side, y + side), fill=paint(random), outline="black", width=2)
        drawn.append(image)
    return drawn


def line_drawings(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One drawing in ink, each time with another small thing."""
    base = Image.new("RGB", (400, 400), "white")
    draw = ImageDraw.Draw(base)
    for _ in range(30):
        points = random.integers(20, 380, (3, 2)).ravel().tolist()
        draw.line(points, "black", 3, joint="curve")
    drawn = []
    for _ in range(count):
        image = base.copy()
        x, y = random.integers(40, 340, 2)
        box = (x, y, x + random.integers(20, 36), y + random.integers(20, 36))
        ImageDraw.Draw(image).ellipse(box, outline="black", width=3)
        drawn.append(image)
    return drawn


def tables(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One spreadsheet, other numbers."""
    rows, columns = int(random.integers(12, 30)), int(random.integers(4, 9))
    wide, tall, drawn = 800 // columns, 720 // rows, []
    for _ in range(count):
        image = Image.new("RGB", (800, 720), "white")
        draw = ImageDraw.Draw(image)
        for row in range(rows):
            for column in range(columns):
                x, y = column * wide, row * tall
                fill = (225, 230, 240) if row == 0 or column == 0 else None
                draw.rectangle((x, y, x + wide, y + tall), fill, (170, 170, 170))
                value = f"{random.integers(0, 99999) / 100:.2f}"
                draw.text((x + 6, y + 3), value, "black", font(min(tall * 0.55, 16)))
        drawn.append(image)
    return drawn


def interfaces(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One program's window, other files in it."""
    dark = bool(random.integers(2))
    ground, panel, ink = (30, (45,) * 3, "white") if dark else (250, (230,) * 3, "black")
    drawn = []
    for _ in range(count):
        image = Image.new("RGB", (1024, 640), (ground,) * 3)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, 200, 640), fill=panel)
        draw.rectangle((0, 0, 1024, 40), fill=(60, 90, 160))
        for row in range(12):
            draw.ellipse((16, 60 + 45 * row, 36, 80 + 45 * row), fill=(200, 120, 60))
            draw.text((46, 60 + 45 * row), phrase(random, 1), ink, font(17))
        for row in range(22):
            draw.text((230, 60 + 26 * row), phrase(random, 9), ink, font(15, "DejaVuSansMono"))
        drawn.append(image)
    return drawn


def maps(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One way to draw, other streets."""
    drawn = []
    for _ in range(count):
        image = Image.new("RGB", (512, 512), (242, 239, 233))
        draw = ImageDraw.Draw(image)
        for colour, width in (((200, 200, 200), 3), ((255, 220, 130), 7), ((170, 210, 230), 14)):
            for _ in range(9):
                points = random.integers(0, 512, (4, 2)).ravel().tolist()
                draw.line(points, colour, width, joint="curve")
        for _ in range(10):
            x, y = random.integers(0, 440, 2)
            draw.text((x, y), phrase(random, 1), (70, 70, 70), font(15))
        drawn.append(image)
    return drawn


def maps_with_pins(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One map, with other pins."""
    (base,) = maps(random, 1)
    drawn = []
    for _ in range(count):
        image = base.copy()
        draw = ImageDraw.Draw(image)
        for _ in range(3):
            x, y = random.integers(20, 480, 2)
            draw.ellipse((x, y, x + 20, y + 20), fill=(220, 40, 40), outline="white", width=3)
        drawn.append(image)
    return drawn


def boards(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One board, other positions."""
    side, drawn = int(random.choice([30, 50, 64])), []
    light, dark = paint(random, 180), paint(random, 60, 150)
    for _ in range(count):
        image = Image.new("RGB", (8 * side, 8 * side))
        draw = ImageDraw.Draw(image)
        for row in range(8):
            for column in range(8):
                x, y = column * side, row * side
                draw.rectangle((x, y, x + side, y + side), light if (row + column) % 2 else dark)
                if random.random() < 0.35:
                    ink = "white" if random.integers(2) else "black"
                    piece = str(random.choice(list("♔♕♖♗♘♙")))
                    draw.text((x + side * 0.1, y), piece, ink, font(side * 0.8))
        drawn.append(image)
    return drawn


def boards_after_a_move(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One position, and another piece that went one field on."""
    side = 48
    fields = random.permutation(64)[:20].tolist()
    drawn = []
    for turn in range(count):
        now = list(fields)
        now[turn] = next(one for one in random.permutation(64).tolist() if one not in fields)
        image = Image.new("RGB", (8 * side, 8 * side))
        draw = ImageDraw.Draw(image)
        for field in range(64):
            x, y = field % 8 * side, field // 8 * side
            fill = (235, 215, 180) if (field % 8 + field // 8) % 2 else (170, 120, 80)
            draw.rectangle((x, y, x + side, y + side), fill)
        for number, field in enumerate(now):
            x, y = field % 8 * side, field // 8 * side
            ink = "white" if number % 2 else "black"
            draw.ellipse((x + 8, y + 8, x + side - 8, y + side - 8), ink, "grey")
        drawn.append(image)
    return drawn


def charts(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One chart, other bars."""
    ink, drawn = paint(random, 0, 200), []
    for _ in range(count):
        image = Image.new("RGB", (640, 400), "white")
        draw = ImageDraw.Draw(image)
        draw.line((50, 20, 50, 360, 620, 360), "black", 2)
        for at in range(10):
            top = int(random.integers(60, 340))
            draw.rectangle((70 + 55 * at, top, 105 + 55 * at, 360), fill=ink)
            draw.text((75 + 55 * at, 368), str(2010 + at), "black", font(12))
        drawn.append(image)
    return drawn


def codes(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Square codes of one size."""
    drawn = []
    for _ in range(count):
        cells = random.integers(0, 2, (29, 29), dtype=np.uint8)
        for y, x in ((0, 0), (0, 22), (22, 0)):
            cells[y : y + 7, x : x + 7] = 0
            cells[y + 1 : y + 6, x + 1 : x + 6] = 1
            cells[y + 2 : y + 5, x + 2 : x + 5] = 0
        code = Image.fromarray(255 * cells).resize((290, 290), Image.Resampling.NEAREST)
        image = Image.new("RGB", (330, 330), "white")
        image.paste(code, (20, 20))
        drawn.append(image)
    return drawn


_DYES: tuple[Colour, ...] = (
    (0, 85, 164),
    (239, 65, 53),
    (255, 255, 255),
    (0, 146, 70),
    (255, 205, 0),
    (0, 0, 0),
    (255, 136, 62),
    (116, 172, 223),
)


def stripes(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Flags of three stripes, in all orders of eight colours."""
    upright = bool(random.integers(2))
    orders = list(permutations(range(len(_DYES)), 3))
    drawn = []
    for order in random.permutation(len(orders))[:count].tolist():
        bands = np.array([_DYES[one] for one in orders[order]], np.uint8)
        shape = bands[None] if upright else bands[:, None]
        flag = Image.fromarray(np.ascontiguousarray(shape))
        drawn.append(flag.resize((300, 200), Image.Resampling.NEAREST))
    return drawn


def crosses(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Flags with a cross, in other colours."""
    drawn = []
    for one, two in list(permutations(_DYES, 2))[:: max(1, 56 // count)][:count]:
        image = Image.new("RGB", (320, 200), one)
        draw = ImageDraw.Draw(image)
        draw.rectangle((100, 0, 140, 200), fill=two)
        draw.rectangle((0, 80, 320, 120), fill=two)
        drawn.append(image)
    return drawn


def discs(random: np.random.Generator, count: int) -> list[Image.Image]:
    """A disc in other hues, on white or on black."""
    ground, drawn = random.choice(["white", "black"]), []
    for at in range(count):
        hue = colorsys.hsv_to_rgb(at / count, 0.9, 0.85)
        image = Image.new("RGB", (240, 240), str(ground))
        colour = tuple(round(255 * value) for value in hue)
        ImageDraw.Draw(image).ellipse((40, 40, 200, 200), fill=colour)
        drawn.append(image)
    return drawn


def icons(random: np.random.Generator, count: int) -> list[Image.Image]:
    """An app's sign in the colours of themes."""
    letter, drawn = str(random.choice(list("ABKQ&#@"))), []
    for at in range(count):
        ground, ink = (
            tuple(round(255 * value) for value in colorsys.hsv_to_rgb(at / count + turn, 0.8, 0.9))
            for turn in (0.0, 0.45)
        )
        image = Image.new("RGB", (256, 256), "white")
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle((16, 16, 240, 240), 48, fill=ground)
        draw.text((128, 128), letter, ink, font(150, "DejaVuSans-Bold"), anchor="mm")
        drawn.append(image)
    return drawn


def signs(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Road signs: one ring, other numbers."""
    drawn = []
    for number in random.permutation(np.arange(10, 100))[:count].tolist():
        image = Image.new("RGB", (240, 240), (210, 215, 220))
        draw = ImageDraw.Draw(image)
        draw.ellipse((15, 15, 225, 225), fill="white", outline=(200, 20, 30), width=26)
        draw.text((120, 120), str(number), "black", font(95, "DejaVuSans-Bold"), anchor="mm")
        drawn.append(image)
    return drawn


def cards(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Playing cards of one deck."""
    faces = [(suit, rank) for suit in "♠♥♦♣" for rank in "A23456789JQK"]
    drawn = []
    for at in random.permutation(len(faces))[:count].tolist():
        suit, rank = faces[at]
        ink = (200, 20, 30) if suit in "♥♦" else (20, 20, 20)
        image = Image.new("RGB", (250, 350), "white")
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle((4, 4, 245, 345), 16, outline="grey", width=2)
        for corner in range(2):
            draw.text((18, 12), rank, ink, font(40, "DejaVuSans-Bold"))
            draw.text((18, 58), suit, ink, font(36))
            if corner == 0:
                image = image.transpose(Image.Transpose.ROTATE_180)
                draw = ImageDraw.Draw(image)
        draw.text((125, 175), suit, ink, font(120), anchor="mm")
        drawn.append(image)
    return drawn


def shirts(random: np.random.Generator, count: int) -> list[Image.Image]:
    """One thing of a shop in other colours, with folds and grain."""
    width, height = 300, 340
    light = np.asarray(scene(random, width, height).convert("L"), np.float32)[..., None] / 255
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    draw.polygon([(80, 40), (220, 40), (290, 120), (250, 150), (225, 125), (225, 310),
                  (75, 310), (75, 125), (50, 150), (10, 120)], fill=255)  # fmt: skip
    inside = np.asarray(mask, np.float32)[..., None] / 255
    drawn = []
    for at in range(count):
        dye = 255 * np.array(colorsys.hsv_to_rgb(at / count, 0.75, 0.9))
        cloth = dye * (0.55 + 0.45 * light)
        shop = 235 + 15 * light
        pixels = inside * cloth + (1 - inside) * shop
        drawn.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return drawn


KINDS: dict[str, Kind] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        *(chats, chats_with_one_more, invoices, invoices_with_one_number, pages, slides, memes),
        *(memes_with_a_bar, drawings, line_drawings, tables, interfaces, maps, maps_with_pins),
        *(boards, boards_after_a_move, charts, codes, stripes, crosses, discs, icons, signs),
        *(cards, shirts),
    )
}

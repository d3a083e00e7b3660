"""Crops of two photographs, many of which look alike.

The photographs are china.jpg by danielbuechele and flower.jpg by vultilion, both from Flickr and
CC BY 2.0, as scikit-learn ships them; they lie beside this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

LONGER_SIDE = 400
# The crops of each photograph, as name:left,top,width,height.
CROPS = {
    "china.jpg": """
        china-pagoda-1:40,10,330,410 china-pagoda-2:60,20,300,232 china-pagoda-3:55,180,310,225
        china-roof-1:92,28,232,130 china-roof-2:80,140,255,140 china-roof-3:62,238,294,160
        china-roof-4:150,60,140,84 china-roof-5:200,325,160,90 china-roof-6:62,235,150,88
        china-roof-7:100,30,110,110
        china-balcony-1:95,170,120,86 china-balcony-2:170,270,170,100
        china-balcony-3:175,180,150,95
        china-sky-1:335,10,300,190
        china-lake-1:345,190,230,130 china-lake-2:400,215,145,85 china-lake-3:340,160,210,150
        china-treetops-1:330,275,245,150 china-treetops-2:10,330,200,97
        china-treetops-3:400,290,150,120
        china-branches-1:550,135,90,135 china-branches-2:0,145,75,110
        china-branches-3:540,150,100,200
    """,
    "flower.jpg": """
        dahlia-1:100,40,420,330 dahlia-2:155,72,305,300 dahlia-3:205,115,205,195
        dahlia-4:250,165,110,90
        dahlia-petals-1:178,85,140,110 dahlia-petals-2:300,225,140,110
        dahlia-petals-3:185,225,140,115 dahlia-petals-4:325,100,100,130
        dahlia-petals-5:240,230,130,130 dahlia-petals-6:168,130,110,150
        dahlia-bud-1:265,325,225,102 dahlia-bud-2:150,200,320,227
        dark-leaves-1:0,30,165,250
    """,
}


def photographs() -> Iterator[tuple[str, Image.Image]]:
    """The crops, enlarged or reduced to a common size, and their paths in the gallery."""
    for file, crops in CROPS.items():
        photograph = Image.open(Path(__file__).parent / file)
        for crop in crops.split():
            name, numbers = crop.split(":")
            left, top, width, height = map(int, numbers.split(","))
            scale = LONGER_SIDE / max(width, height)
            size = (round(width * scale), round(height * scale))
            area = (left, top, left + width, top + height)
            image = photograph.resize(size, Image.Resampling.LANCZOS, box=area)
            yield f"photographs/{name}.jpg", image

"""What was found -> one HTML page with the pictures inside, so that it can be moved and mailed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.contracts import Indexed
from ..core.names import near, shown
from ..engine.images.decode import Limits, jpeg
from .groups import hard_links_elsewhere, said
from .render import size
from .results import QueryResult, picture_at, sign

if TYPE_CHECKING:
    from PIL import Image

    from ..indexer.analysis.duplicates.groups import Group
    from ..indexer.analysis.pairs import Pair

THUMBNAIL_SIDE = 320


def page(results: Sequence[QueryResult], limits: Limits, title: str) -> str:
    """Each query beside its hits."""
    rows = [
        {
            "query_items": [
                {
                    "path": shown(near(item.caption)),
                    "says": shown(near(item.name)),
                    "sign": "" if result.is_plain else sign(item.weight),
                    "is_less": item.weight < 0,
                    "image": _inline(item.shown(THUMBNAIL_SIDE, limits)),
                }
                for item in result.items
            ],
            "hits": [
                {
                    "path": shown(near(hit.path)),
                    "score": hit.score,
                    "rank": hit.rank,
                    "width": hit.width,
                    "height": hit.height,
                    "copies": len(hit.paths) - 1,
                    "image": _inline(picture_at(hit.path, THUMBNAIL_SIDE, limits)),
                }
                for hit in result.hits
            ],
        }
        for result in results
    ]
    has_text = any(item.is_text for result in results for item in result.items)
    return _rendered("lookalikes.html", title=title, rows=rows, has_text=has_text)


def pairs_page(found: Sequence[Pair], limits: Limits, title: str) -> str:
    """Both pictures of each pair side by side."""

    def side(picture: Indexed) -> dict[str, Any]:
        path = picture.paths[0]
        image = _inline(picture_at(path, THUMBNAIL_SIDE, limits))
        return {"path": shown(near(path)), "copies": len(picture.paths) - 1, "image": image}

    rows = [
        {
            "rank": pair.rank,
            "alike": pair.alike,
            "plain": pair.plain,
            "sides": [side(pair.left), side(pair.right)],
        }
        for pair in found
    ]
    return _rendered("pairs.html", title=title, pairs=rows)


def groups_page(found: Sequence[Group], limits: Limits, title: str) -> str:
    """The files of each group in a row, the best first."""
    rows = [
        [
            {
                "path": shown(near(copy.path)),
                "width": copy.width,
                "height": copy.height,
                "size": size(copy.file_bytes),
                "said": said(copy, group),
                "elsewhere": hard_links_elsewhere(copy),
                "links": [shown(near(path)) for path in copy.links],
                "is_sure": copy.state == "ok",
                "image": _inline(picture_at(copy.path, THUMBNAIL_SIDE, limits))
                if copy.state != "changed"
                else None,
            }
            for copy in (*group.copies, *group.uncertain)
        ]
        for group in found
    ]
    return _rendered("dupes.html", title=title, groups=rows)


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader

    jinja = Environment(
        loader=PackageLoader("tll_index.rendering"), autoescape=True, trim_blocks=True
    )
    return jinja.get_template(template).render(**values)


def _inline(picture: Image.Image | None) -> str | None:
    """A data: URL; None where the picture can't be shown any more."""
    if picture is None:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(picture)).decode("ascii")

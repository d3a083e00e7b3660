"""What the API tells of pictures: digest, paths below the indexed folders; never a whole path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core.contracts import Hit, Indexed
    from .public_paths import PublicPaths


def describe_picture(picture: Indexed, public: PublicPaths) -> dict[str, Any]:
    """A `PictureFacts`."""
    paths = [public.of(path) for path in picture.paths]
    folder, name = paths[0]
    return {
        "id": picture.sha256,
        "name": name,
        "folder": folder,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "file_bytes": picture.file_bytes,
        "paths": [{"folder": folder, "name": name} for folder, name in paths],
    }


def describe_hit(hit: Hit, public: PublicPaths) -> dict[str, Any]:
    """A `FoundPicture`."""
    folder, name = public.of(hit.path)
    return {
        "id": hit.sha256,
        "rank": hit.rank,
        "score": hit.score,
        "name": name,
        "folder": folder,
        "width": hit.width,
        "height": hit.height,
        "copies": len(hit.paths) - 1,
    }

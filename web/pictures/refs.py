"""Pictures as the API tells of them: by content, below the indexed folders; never a whole path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core.contracts import Hit, Indexed
    from .public_paths import PublicPaths


def of_picture(picture: Indexed, entries: PublicPaths) -> dict[str, Any]:
    """A `PictureFacts`."""
    lie = [entries.of(path) for path in picture.paths]
    folder, name = lie[0]
    return {
        "id": picture.sha256,
        "name": name,
        "folder": folder,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "file_bytes": picture.file_bytes,
        "paths": [{"folder": folder, "name": name} for folder, name in lie],
    }


def found(hit: Hit, entries: PublicPaths) -> dict[str, Any]:
    """A `FoundPicture`."""
    folder, name = entries.of(hit.path)
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

"""tll-index: which other pictures look like this one?

What a notebook types::

    from tll_index import Store, build
    build(["photos"], store="photos.tll")
    for hit in Store.open("photos.tll").query("photo.jpg", k=10):
        print(hit.score, hit.path)

Names are loaded on first use, so that importing this package stays cheap (no torch, no FAISS).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .core import privacy
from .core.version import __version__ as __version__

if TYPE_CHECKING:
    from .core.contracts import Hit as Hit
    from .core.contracts import Hits as Hits
    from .core.contracts import Indexed as Indexed
    from .core.errors import TllError as TllError
    from .engine.backbones.backbone import Backbone as Backbone
    from .engine.backbones.backbone import load_backbone as load_backbone
    from .engine.explain.explain import Explanation as Explanation
    from .engine.images.crops import Crop as Crop
    from .engine.lens.lens import Lens as Lens
    from .indexer.analysis.duplicates.find import dupes as dupes
    from .indexer.analysis.duplicates.groups import Copy as Copy
    from .indexer.analysis.duplicates.groups import Group as Group
    from .indexer.analysis.explain import why as why
    from .indexer.analysis.pairs import Pair as Pair
    from .indexer.analysis.pairs import pairs as pairs
    from .indexer.ingest.build import Recipe as Recipe
    from .indexer.ingest.build import build as build
    from .indexer.ingest.report import BuildReport as BuildReport
    from .indexer.ingest.report import LeftOut as LeftOut
    from .indexer.ingest.watch import Listener as Listener
    from .indexer.ingest.watch import watch as watch
    from .indexer.maintenance.backup import backup as backup
    from .indexer.maintenance.forget import Forgotten as Forgotten
    from .indexer.maintenance.forget import forget as forget
    from .indexer.maintenance.repair import Repair as Repair
    from .indexer.maintenance.repair import repair as repair
    from .indexer.maintenance.verify import Finding as Finding
    from .indexer.maintenance.verify import Verification as Verification
    from .indexer.maintenance.verify import verify as verify
    from .indexer.ray.cluster import Ray as Ray
    from .indexer.scan.rules import Rules as Rules
    from .indexer.store.query import QueryEmbedding as QueryEmbedding
    from .indexer.store.store import Store as Store
    from .indexer.transfer.copy import Copied as Copied
    from .indexer.transfer.copy import copy_store as copy_store
    from .indexer.transfer.export import Exported as Exported
    from .indexer.transfer.export import export as export
    from .indexer.transfer.import_embeddings import import_embeddings as import_embeddings
    from .indexer.transfer.imported_rows import Imported as Imported
    from .indexer.transfer.merge import Merged as Merged
    from .indexer.transfer.merge import merge as merge
    from .rendering.results import QueryItem as QueryItem
    from .rendering.results import QueryResult as QueryResult
    from .rendering.sheets import contact_sheet as contact_sheet

_EXPORTS = {
    "QueryResult": ".rendering.results",
    "QueryItem": ".rendering.results",
    "contact_sheet": ".rendering.sheets",
    "Backbone": ".engine.backbones.backbone",
    "load_backbone": ".engine.backbones.backbone",
    "Lens": ".engine.lens.lens",
    "TllError": ".core.errors",
    "BuildReport": ".indexer.ingest.report",
    "LeftOut": ".indexer.ingest.report",
    "Rules": ".indexer.scan.rules",
    "Recipe": ".indexer.ingest.build",
    "backup": ".indexer.maintenance.backup",
    "build": ".indexer.ingest.build",
    "Ray": ".indexer.ray.cluster",
    "Copied": ".indexer.transfer.copy",
    "copy_store": ".indexer.transfer.copy",
    "Copy": ".indexer.analysis.duplicates.groups",
    "Group": ".indexer.analysis.duplicates.groups",
    "dupes": ".indexer.analysis.duplicates.find",
    "Pair": ".indexer.analysis.pairs",
    "pairs": ".indexer.analysis.pairs",
    "Forgotten": ".indexer.maintenance.forget",
    "forget": ".indexer.maintenance.forget",
    "Repair": ".indexer.maintenance.repair",
    "repair": ".indexer.maintenance.repair",
    "Finding": ".indexer.maintenance.verify",
    "Verification": ".indexer.maintenance.verify",
    "verify": ".indexer.maintenance.verify",
    "Listener": ".indexer.ingest.watch",
    "watch": ".indexer.ingest.watch",
    "Store": ".indexer.store.store",
    "Hit": ".core.contracts",
    "Hits": ".core.contracts",
    "Indexed": ".core.contracts",
    "Look": ".indexer.store.query",
    "Crop": ".engine.images.crops",
    "Reasons": ".engine.explain.explain",
    "why": ".indexer.analysis.explain",
    "Merged": ".indexer.transfer.merge",
    "merge": ".indexer.transfer.merge",
    "Imported": ".indexer.transfer.import_embeddings",
    "import_embeddings": ".indexer.transfer.import_embeddings",
    "Exported": ".indexer.transfer.export",
    "export": ".indexer.transfer.export",
}

__all__ = ["__version__", *_EXPORTS]

privacy.turn_off_reports()


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)

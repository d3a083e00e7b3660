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

from . import privacy

if TYPE_CHECKING:
    from .contracts import Hit as Hit
    from .contracts import Hits as Hits
    from .contracts import Indexed as Indexed
    from .engine.crops import Crop as Crop
    from .engine.features import Backbone as Backbone
    from .engine.features import load_backbone as load_backbone
    from .engine.lens import Lens as Lens
    from .engine.reasons import Reasons as Reasons
    from .errors import TllError as TllError
    from .indexer.backup import backup as backup
    from .indexer.build import Recipe as Recipe
    from .indexer.build import build as build
    from .indexer.cluster import Ray as Ray
    from .indexer.copying import Copied as Copied
    from .indexer.copying import copy_store as copy_store
    from .indexer.duplicates import Copy as Copy
    from .indexer.duplicates import Group as Group
    from .indexer.duplicates import dupes as dupes
    from .indexer.explaining import why as why
    from .indexer.exporting import Exported as Exported
    from .indexer.exporting import export as export
    from .indexer.forgetting import Forgotten as Forgotten
    from .indexer.forgetting import forget as forget
    from .indexer.imported_rows import Imported as Imported
    from .indexer.importing import import_embeddings as import_embeddings
    from .indexer.looks import Look as Look
    from .indexer.merging import Merged as Merged
    from .indexer.merging import merge as merge
    from .indexer.repairing import Repair as Repair
    from .indexer.repairing import repair as repair
    from .indexer.report import BuildReport as BuildReport
    from .indexer.report import LeftOut as LeftOut
    from .indexer.rules import Rules as Rules
    from .indexer.store import Store as Store
    from .indexer.striking import Pair as Pair
    from .indexer.striking import pairs as pairs
    from .indexer.verifying import Finding as Finding
    from .indexer.verifying import Verification as Verification
    from .indexer.verifying import verify as verify
    from .indexer.watching import Listener as Listener
    from .indexer.watching import watch as watch
    from .rendering.answers import Answer as Answer
    from .rendering.answers import Asked as Asked
    from .rendering.sheets import contact_sheet as contact_sheet

_HOMES = {
    "Answer": ".rendering.answers",
    "Asked": ".rendering.answers",
    "contact_sheet": ".rendering.sheets",
    "Backbone": ".engine.features",
    "load_backbone": ".engine.features",
    "Lens": ".engine.lens",
    "TllError": ".errors",
    "BuildReport": ".indexer.report",
    "LeftOut": ".indexer.report",
    "Rules": ".indexer.rules",
    "Recipe": ".indexer.build",
    "backup": ".indexer.backup",
    "build": ".indexer.build",
    "Ray": ".indexer.cluster",
    "Copied": ".indexer.copying",
    "copy_store": ".indexer.copying",
    "Copy": ".indexer.duplicates",
    "Group": ".indexer.duplicates",
    "dupes": ".indexer.duplicates",
    "Pair": ".indexer.striking",
    "pairs": ".indexer.striking",
    "Forgotten": ".indexer.forgetting",
    "forget": ".indexer.forgetting",
    "Repair": ".indexer.repairing",
    "repair": ".indexer.repairing",
    "Finding": ".indexer.verifying",
    "Verification": ".indexer.verifying",
    "verify": ".indexer.verifying",
    "Listener": ".indexer.watching",
    "watch": ".indexer.watching",
    "Store": ".indexer.store",
    "Hit": ".contracts",
    "Hits": ".contracts",
    "Indexed": ".contracts",
    "Look": ".indexer.looks",
    "Crop": ".engine.crops",
    "Reasons": ".engine.reasons",
    "why": ".indexer.explaining",
    "Merged": ".indexer.merging",
    "merge": ".indexer.merging",
    "Imported": ".indexer.importing",
    "import_embeddings": ".indexer.importing",
    "Exported": ".indexer.exporting",
    "export": ".indexer.exporting",
}

__all__ = ["__version__", *_HOMES]

privacy.turn_off_reports()


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)

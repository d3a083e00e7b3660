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

if TYPE_CHECKING:  # for editors and mypy, what `_NAMES` says for Python
    from .core.config import Settings as Settings
    from .core.config import load_settings as load_settings
    from .core.contracts import Hit as Hit
    from .core.contracts import Hits as Hits
    from .core.contracts import Indexed as Indexed
    from .core.errors import AddressError as AddressError
    from .core.errors import DamagedPictureError as DamagedPictureError
    from .core.errors import DataError as DataError
    from .core.errors import DecoderFailedError as DecoderFailedError
    from .core.errors import EmptyPictureError as EmptyPictureError
    from .core.errors import LensError as LensError
    from .core.errors import MissingAddressError as MissingAddressError
    from .core.errors import MissingCodecError as MissingCodecError
    from .core.errors import MissingPictureError as MissingPictureError
    from .core.errors import NoAttributionError as NoAttributionError
    from .core.errors import NoPicturesError as NoPicturesError
    from .core.errors import NoStoreError as NoStoreError
    from .core.errors import NotAPictureError as NotAPictureError
    from .core.errors import NotIndexedError as NotIndexedError
    from .core.errors import OutsidePictureError as OutsidePictureError
    from .core.errors import PictureError as PictureError
    from .core.errors import StoreBusyError as StoreBusyError
    from .core.errors import StoreDamagedError as StoreDamagedError
    from .core.errors import StoreError as StoreError
    from .core.errors import StoreFullError as StoreFullError
    from .core.errors import StoreMismatchError as StoreMismatchError
    from .core.errors import StoreReadOnlyError as StoreReadOnlyError
    from .core.errors import TllError as TllError
    from .core.errors import TooLargePictureError as TooLargePictureError
    from .core.errors import UnreachableError as UnreachableError
    from .core.errors import UnreadablePictureError as UnreadablePictureError
    from .core.errors import UsageError as UsageError
    from .core.errors import WeightsError as WeightsError
    from .core.progress import Progress as Progress
    from .engine.backbones.backbone import Backbone as Backbone
    from .engine.backbones.backbone import load_backbone as load_backbone
    from .engine.evaluation.metrics import Scores as Scores
    from .engine.explain.explain import Explanation as Explanation
    from .engine.images.crops import Crop as Crop
    from .engine.lens.experiment import CrossValidation as CrossValidation
    from .engine.lens.experiment import PairData as PairData
    from .engine.lens.experiment import cross_validate as cross_validate
    from .engine.lens.experiment import evaluate as evaluate
    from .engine.lens.experiment import fit_lens as fit_lens
    from .engine.lens.experiment import load_pairs as load_pairs
    from .engine.lens.lens import Lens as Lens
    from .engine.lens.options import TrainingOptions as TrainingOptions
    from .engine.lens.options import options_of as options_of
    from .engine.lens.trainer import Fit as Fit
    from .engine.lens.training import PairFeatures as PairFeatures
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

_NAMES = {
    # Build
    ".indexer.ingest.build": ("Recipe", "build"),
    ".indexer.ingest.report": ("BuildReport", "LeftOut"),
    ".indexer.ray.cluster": ("Ray",),
    ".indexer.scan.rules": ("Rules",),
    # Search
    ".indexer.store.store": ("Store",),
    ".indexer.store.query": ("QueryEmbedding",),
    ".engine.images.crops": ("Crop",),
    ".core.contracts": ("Hit", "Hits", "Indexed"),
    # Show
    ".rendering.results": ("QueryItem", "QueryResult"),
    ".rendering.sheets": ("contact_sheet",),
    # Explain
    ".indexer.analysis.explain": ("why",),
    ".engine.explain.explain": ("Explanation",),
    # Analyse a collection
    ".indexer.analysis.duplicates.find": ("dupes",),
    ".indexer.analysis.duplicates.groups": ("Copy", "Group"),
    ".indexer.analysis.pairs": ("Pair", "pairs"),
    # Keep in step, exchange
    ".indexer.ingest.watch": ("Listener", "watch"),
    ".indexer.transfer.copy": ("Copied", "copy_store"),
    ".indexer.transfer.export": ("Exported", "export"),
    ".indexer.transfer.import_embeddings": ("import_embeddings",),
    ".indexer.transfer.imported_rows": ("Imported",),
    ".indexer.transfer.merge": ("Merged", "merge"),
    # Look after a store
    ".indexer.maintenance.backup": ("backup",),
    ".indexer.maintenance.forget": ("Forgotten", "forget"),
    ".indexer.maintenance.repair": ("Repair", "repair"),
    ".indexer.maintenance.verify": ("Finding", "Verification", "verify"),
    # Networks and lenses
    ".engine.backbones.backbone": ("Backbone", "load_backbone"),
    ".engine.lens.lens": ("Lens",),
    # Train and evaluate
    ".engine.lens.experiment": (
        "CrossValidation",
        "PairData",
        "cross_validate",
        "evaluate",
        "fit_lens",
        "load_pairs",
    ),
    ".engine.lens.options": ("TrainingOptions", "options_of"),
    ".engine.lens.trainer": ("Fit",),
    ".engine.lens.training": ("PairFeatures",),
    ".engine.evaluation.metrics": ("Scores",),
    # Settings and progress
    ".core.config": ("Settings", "load_settings"),
    ".core.progress": ("Progress",),
    # Errors
    ".core.errors": (
        "AddressError",
        "DamagedPictureError",
        "DataError",
        "DecoderFailedError",
        "EmptyPictureError",
        "LensError",
        "MissingAddressError",
        "MissingCodecError",
        "MissingPictureError",
        "NoAttributionError",
        "NoPicturesError",
        "NoStoreError",
        "NotAPictureError",
        "NotIndexedError",
        "OutsidePictureError",
        "PictureError",
        "StoreBusyError",
        "StoreDamagedError",
        "StoreError",
        "StoreFullError",
        "StoreMismatchError",
        "StoreReadOnlyError",
        "TllError",
        "TooLargePictureError",
        "UnreachableError",
        "UnreadablePictureError",
        "UsageError",
        "WeightsError",
    ),
}
"""The public names, by the module that has them; docs/api.md describes each."""

_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_MODULES]

privacy.turn_off_reports()


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_MODULES[name], __name__), name)
    globals()[name] = found  # found once, it is a name like others
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

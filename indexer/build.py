"""Folders -> store: embed what is new, follow what moved, drop what is gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..config import STORE_NAME, Settings, load_settings
from ..engine.decode import SUFFIXES, codecs
from ..engine.embedder import choose_backbone, load_embedder
from ..engine.lens import Lens
from ..engine.registry import spec_of
from ..engine.weights import digest
from ..errors import StoreMismatchError, TllError, UsageError
from ..names import shown
from .changes import Comparison, Tally
from .decoders import Decoder
from .intake import Intake
from .pipeline import Pipeline
from .report import BuildReport, Progress
from .store import Store, limits_of, locate_store, writer_lock
from .walk import Rules, outermost, roots_of

_ORPHANS_PER_TRANSACTION = 4096


@dataclass(frozen=True)
class Recipe:
    """What a new store is made with; an old one must have been made with the same."""

    backbone: str = "auto"
    """A registry name; 'auto' takes the store's own or, for a new one, the best there is."""
    weights: Path | None = None
    """A file to use instead of the one that is found."""
    lens: Lens | Path | str | None = None
    """A lens or its file; 'none' for none; None takes the one that is found."""


def build(
    folders: Iterable[str | os.PathLike[str]] = (),
    *,
    store: str | os.PathLike[str] | None = None,
    recipe: Recipe = Recipe(),
    rules: Rules = Rules(),  # noqa: B008
    allow_empty: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> BuildReport:
    """Bring a store in step with folders of pictures; make it where there is none.

    Files whose size and time are unchanged are not opened; content that is known is not embedded
    again, wherever it moved; paths that are gone are forgotten. Each batch is one transaction, so
    a build that is cut short, even by a power failure, goes on where it was. Ctrl-C ends it in
    order: the report then says `stopped`.

    Args:
        folders: walked recursively; none means those that the store was built from.
        store: its folder; None as in `Store.open`, or a new `.tll-index` here.
        allow_empty: believe that a folder which is quite empty now has lost all its pictures.
        dry_run: change nothing; `added` then counts new and moved paths together.

    Raises:
        TllError: nothing to index, or something is wrong with a folder, the store, the weights.
    """
    settings = settings or load_settings()
    progress = progress or Progress()
    path = locate_store(store, settings) or Path.cwd() / STORE_NAME
    limits = limits_of(settings)
    with ExitStack() as stack:
        known = _open_known(path, settings, stack)
        roots = roots_of(folders)
        if not roots:
            if known is None:
                raise UsageError("name at least one folder of pictures")
            roots = known.roots()
        if known is not None:
            _require_same_recipe(known, recipe)

        def compare(store: Store | None) -> Comparison:
            catalog = None if store is None else store.catalog
            return Comparison(
                roots,
                rules,
                os.fsencode(path),
                catalog,
                f"{codecs()} {limits} {settings.decode_seconds} s",
            )

        if dry_run or known is None:
            tally = compare(known).tally(progress, allow_empty)
            if known is None and not tally.files:
                raise TllError(_no_pictures(roots))
            if dry_run:
                return _foretold(tally)
        stack.enter_context(writer_lock(path))
        store_now = known or _open_known(path, settings, stack)
        if store_now is None:
            store_now = _create(path, recipe, settings, progress)
            stack.callback(store_now.close)
        return _bring_in_step(store_now, compare(store_now), progress, allow_empty)


def _bring_in_step(
    store: Store, comparison: Comparison, progress: Progress, allow_empty: bool
) -> BuildReport:
    tally = comparison.tally(progress, allow_empty)
    report = BuildReport(unchanged=tally.unchanged, skipped=tally.skipped)
    try:
        _remember_roots(store, comparison.roots)
        if tally.to_do:
            progress.working(tally.to_do)
            _embed(store, comparison, report, progress)
        if tally.gone:
            report.removed = comparison.sweep()
        while store.catalog.write(lambda writer: writer.remove_orphans(_ORPHANS_PER_TRANSACTION)):
            pass
        store.save_index()
    except KeyboardInterrupt:
        report.stopped = True
    return report


def _embed(store: Store, comparison: Comparison, report: BuildReport, progress: Progress) -> None:
    settings, limits = store.settings, limits_of(store.settings)
    intake = Intake(store, comparison.codecs, report, progress)
    geometry = spec_of(store.about.made_by["backbone"]).geometry
    decoders = [
        Decoder(geometry, limits, settings.decode_seconds) for _ in range(settings.decoders())
    ]
    # Two batches ahead: while one is in the backbone, the next is being decoded.
    with Pipeline(decoders, limits, depth=2 * settings.batch_size + len(decoders)) as pipeline:
        intake.take(pipeline.run(comparison.to_do(), intake.is_known))


def _open_known(path: Path, settings: Settings, stack: ExitStack) -> Store | None:
    if not (path / "store.json").exists():
        return None
    store = Store.open(path, settings=settings)
    stack.callback(store.close)
    return store


def _create(path: Path, recipe: Recipe, settings: Settings, progress: Progress) -> Store:
    name, why = recipe.backbone, ""
    if name == "auto":
        choice = choose_backbone(settings)
        name = choice.backbone
        why = f" ({choice.why})"
    embedder = load_embedder(name, settings, weights=recipe.weights, lens=recipe.lens)
    progress.note(f"backbone: {name}{why}")
    return Store.create(path, embedder, settings, recipe.weights)


def _require_same_recipe(store: Store, recipe: Recipe) -> None:
    """Hold what was asked for against what made the store, without loading a network."""
    made_by = store.about.made_by
    asked: dict[str, object] = {}
    if recipe.backbone != "auto":
        asked["backbone"] = spec_of(recipe.backbone).name
    if recipe.weights is not None:
        asked["weights_sha256"] = digest(recipe.weights)
    if recipe.lens is not None:
        lens = recipe.lens
        if not isinstance(lens, Lens) and lens != "none":
            lens = Lens.load(lens)
        asked["lens_sha256"] = lens.digest if isinstance(lens, Lens) and lens.trained else None
    for key, value in asked.items():
        if value != made_by[key]:
            what = key.removesuffix("_sha256")
            raise StoreMismatchError(
                f"{store.path} was made with another {what} ({made_by[key] or 'none'}, asked for "
                f"{value or 'none'}); a store has one: leave it out, or build another with --store"
            )


def _remember_roots(store: Store, roots: Sequence[bytes]) -> None:
    """The store's folders are those of now and of earlier builds, as far as they exist."""
    before = store.roots()
    after = outermost([*roots, *before])
    after = [root for root in after if os.path.isdir(root)]
    if after != before:
        store.catalog.write(lambda writer: writer.set_roots(after))


def _foretold(tally: Tally) -> BuildReport:
    return BuildReport(
        added=tally.new,
        updated=tally.changed,
        unchanged=tally.unchanged,
        removed=tally.gone,
        skipped=tally.skipped,
    )


def _no_pictures(roots: Sequence[bytes]) -> str:
    where = ", ".join(shown(root) for root in roots)
    endings = " ".join(sorted(suffix.decode() for suffix in SUFFIXES))
    return f"no pictures in {where} (looked for {endings}; hidden files only with --hidden)"

"""Folders -> store: embed what is new, follow what moved, drop what is gone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...core.config import Settings, load_settings
from ...core.errors import NoPicturesError, StoreMismatchError, UsageError
from ...core.location import Location
from ...core.names import shown
from ...core.progress import Progress
from ...engine.backbones.libraries import require_libraries
from ...engine.backbones.registry import spec_of
from ...engine.backbones.runtime import pictures_a_pass
from ...engine.backbones.text_encoder import choose_text_backbone, require_text_space
from ...engine.backbones.weights import digest
from ...engine.images.decode import SUFFIXES, Limits, codecs
from ...engine.lens.embedder import Embedder, choose_backbone, conversion_of, load_embedder
from ...engine.lens.lens import Lens
from ...engine.remote.urls import is_address
from ..backends.layout import location_to_build
from ..backends.remembered_rules import remember, remembered, rules_for, without
from ..decoding.decoder_process import Decoder
from ..decoding.pipeline import Pipeline
from ..maintenance.forget import settle
from ..ray.cluster import Ray
from ..ray.driver import Spreading
from ..scan.patterns import require_patterns
from ..scan.presence import require_root
from ..scan.rules import RootRules, Rules
from ..scan.walk import as_known, is_below, roots_of
from ..store import resolve
from ..store.imported import require_not_imported
from ..store.store import Store
from .background_indexer import BackgroundIndexer
from .commit import Intake
from .diff import Comparison, Tally
from .report import BuildReport, LeftOut

_READERS = 16
"""Files at addresses that are read at once, at least: most of that is waiting."""


@dataclass(frozen=True)
class Recipe:
    """What a new store is made with: backbone, weights, lens. An old one must have been made with
    the same."""

    backbone: str = "auto"
    """A registry name; 'auto' takes the store's own or, for a new one, the best there is."""
    weights: Path | None = None
    """A file to use instead of the one that is found."""
    lens: Lens | Path | str | None = None
    """A lens or its file; 'none' for none; None takes the one that is found."""
    text: bool = False
    """Whether it can be searched with text, for which the backbone needs a text encoder. It stays
    so: it need not be said again."""


def build(
    folders: Iterable[str | os.PathLike[str]] = (),
    *,
    store: str | os.PathLike[str] | None = None,
    recipe: Recipe = Recipe(),
    rules: Rules | None = None,
    allow_empty: bool = False,
    checksum: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
    on: Ray | None = None,
) -> BuildReport:
    """Bring a store in step with folders of pictures; make it where there is none.

    Files whose size and time are unchanged are not opened; content that is known is not embedded
    again, wherever it moved; paths that are gone are forgotten. Each batch is one transaction, so
    a build that is cut short, even by a power failure, goes on where it was. Ctrl-C ends it in
    order: the report then says `stopped`.

    Args:
        folders: walked recursively, on disk or, as text, at addresses such as s3://bucket/photos
            (they need the extra `urls`); none means those that the store was built from.
        store: its folder; None as in `Store.open`, or a new `.tll-index` here.
        rules: which files are looked at; the store remembers them for each folder, in the place of
            those of before. None means those that it remembers, `Rules()` none at all.
        allow_empty: believe that a folder which is missing or quite empty has lost its pictures;
            otherwise they are kept and the report says so, since its disk may be absent.
        checksum: also read the files of unchanged size and time, and compare their SHA-256: finds
            what was changed in a way that put size and time back.
        dry_run: change nothing, and open no file; `added` then counts new and moved paths together.
        on: read, decode and embed on the nodes of a Ray cluster; None is here.

    Raises:
        TllError: nothing to index, or something is wrong with a folder, the store, the weights.
    """
    if checksum and dry_run:
        raise UsageError("--checksum reads files and --dry-run opens none: leave one out")
    if on is not None and not dry_run:
        on.require()
    builder = Builder(folders, store, recipe, rules, settings or load_settings(), on)
    return builder.build(
        progress or Progress(), allow_empty=allow_empty, checksum=checksum, dry_run=dry_run
    )


class Builder:
    """A builder of one store, build after build, between which the network stays loaded."""

    def __init__(
        self,
        folders: Iterable[str | os.PathLike[str]],
        store: str | os.PathLike[str] | None,
        recipe: Recipe,
        rules: Rules | None,
        settings: Settings,
        on: Ray | None = None,
    ) -> None:
        """See `build`; `rules` are those of the first build: later ones go by what the store then
        remembers.

        Raises:
            UsageError: a pattern is empty.
        """
        self.location = location_to_build(store, settings)
        self._named = roots_of(folders)
        self._recipe = recipe
        self._said = rules
        if rules is not None:
            require_patterns(rules.exclude)
        self._here = os.fsencode(os.getcwd())
        self._settings = settings
        self._on = on
        self._embedder: Embedder | None = None
        self._began = False

    def build(
        self,
        progress: Progress,
        *,
        allow_empty: bool = False,
        checksum: bool = False,
        dry_run: bool = False,
    ) -> BuildReport:
        """See `build`. A folder that was named needs to be there only the first time: later, its
        disk may be absent."""
        settings = self._settings
        tried_by = f"{codecs()} {Limits.of(settings)} {settings.decode_seconds} s"
        with ExitStack() as stack:
            known = self._open_known(stack)
            plan = self._plan(known, allow_empty or self._began)

            def compare(store: Store | None, plan: _Plan) -> Comparison:
                comparison = Comparison(
                    plan.roots,
                    plan.rules,
                    resolve.folder_in_use(self.location),
                    None if store is None else store.catalog,
                    tried_by,
                    allow_empty,
                    checksum,
                )
                stack.enter_context(comparison)
                comparison.require(plan.required)
                return comparison

            comparison, tally = None, None
            if known is None and not dry_run:
                _require_libraries(self._recipe, settings)
            if dry_run or known is None:
                comparison = compare(known, plan)
                tally = comparison.tally(progress, keep=not dry_run)
                if known is None and not tally.files:
                    raise NoPicturesError(_no_pictures(plan, tally.left_out))
                if dry_run:
                    return plan.noted(_foretold(tally))
            if known is None:
                resolve.require_free(self.location)
            stack.enter_context(resolve.only_writer(self.location))
            store_now = known or self._open_known(stack)
            if store_now is None:
                store_now = _create(self.location, self._recipe, settings, progress)
                stack.callback(store_now.close)
            else:
                plan = self._plan(store_now, allow_empty or self._began)  # rules may be others now
                settle(store_now, progress)
                if self._recipe.weights is not None:
                    store_now.use_weights(self._recipe.weights)
                comparison, tally = compare(store_now, plan), None
            assert comparison is not None
            remember(store_now.backend, plan.to_remember())
            tally = tally or comparison.tally(progress)
            report = _bring_in_step(store_now, comparison, plan, tally, progress, self._on)
            self._embedder = store_now.loaded
            self._began = True
            self._said = None
            return plan.noted(report)

    def roots(self) -> list[bytes]:
        """The folders that a build walks.

        Raises:
            TllError: there are none, or the store can't be opened.
        """
        return list(self.rules())

    def rules(self) -> dict[bytes, RootRules]:
        """Each of them, and its rules. Raises as `roots`."""
        with ExitStack() as stack:
            plan = self._plan(self._open_known(stack), self._began)
            return {root: plan.rules[root] for root in plan.roots}

    def _open_known(self, stack: ExitStack) -> Store | None:
        """The store, if it is there, held against the recipe.

        Raises:
            StoreMismatchError: it was made with another.
            StoreError: it can't be opened.
        """
        if not resolve.is_there(self.location):
            return None
        store = stack.enter_context(Store.open(self.location, settings=self._settings))
        require_not_imported(store.location, store.about)
        _require_same_recipe(store, self._wanted)
        if self._recipe.text:
            store.require_text_space()
        if self._embedder is not None:
            store.lend(self._embedder)
        return store

    @cached_property
    def _wanted(self) -> dict[str, object]:
        """What the recipe says of a store's `made_by`, without loading a network."""
        recipe = self._recipe
        wanted: dict[str, object] = {}
        if recipe.backbone != "auto":
            wanted["backbone"] = spec_of(recipe.backbone).name
        if recipe.weights is not None:
            wanted["weights_sha256"] = digest(recipe.weights)
        if recipe.lens is not None:
            lens = recipe.lens
            if not isinstance(lens, Lens) and lens != "none":
                lens = Lens.load(lens)
            wanted["lens_sha256"] = lens.digest if isinstance(lens, Lens) and lens.trained else None
        return wanted

    def _plan(self, known: Store | None, may_be_absent: bool) -> _Plan:
        """What to walk: the folders that are named and, of those that the store was built from, the
        ones below them; or, where none is named, all that it was built from. And by which rules."""
        before = [] if known is None else known.roots()
        memory = {} if known is None else remembered(known.backend)
        if not self._named and not before:
            raise UsageError("name at least one folder of pictures")
        named = [as_known(root, before) for root in self._named]
        required = [] if may_be_absent and known is not None else named
        for root in required:
            if not is_address(root):
                require_root(root)
        below = [old for old in before if any(is_below(old, root) for root in named)]
        roots = sorted({*named, *below}) if named else before
        rules = rules_for(roots, before, memory, self._said, named, self._here)
        kept = without(roots, rules)
        return _Plan(kept, rules, frozenset(roots) - frozenset(kept), memory, frozenset(required))


@dataclass(frozen=True)
class _Plan:
    """What a build walks."""

    roots: list[bytes]
    rules: dict[bytes, RootRules]
    """Of each of them, and of those that they leave out."""
    left_out: frozenset[bytes]
    """Folders that the store was built from, which the rules of others leave out now."""
    memory: dict[bytes, RootRules]
    """What the store remembered before, of any of its folders."""
    required: frozenset[bytes]
    """Those that must be there."""

    def to_remember(self) -> dict[bytes, RootRules]:
        """What the store remembers from now on."""
        every = {**self.memory, **self.rules}
        return {root: one for root, one in every.items() if root not in self.left_out}

    def noted(self, report: BuildReport) -> BuildReport:
        """The report of such a build, with its rules."""
        said = {root: self.rules[root].said for root in self.roots}
        report.rules = {root: one for root, one in said.items() if one != Rules()}
        report.were = {
            root: before.said
            for root, before in self.memory.items()
            if root in said and before.said not in (said[root], Rules())
        }
        return report


def _bring_in_step(
    store: Store,
    comparison: Comparison,
    plan: _Plan,
    tally: Tally,
    progress: Progress,
    on: Ray | None,
) -> BuildReport:
    report = BuildReport(unchanged=tally.unchanged, skipped=tally.skipped, left_out=tally.left_out)
    indexer = BackgroundIndexer(store)
    try:
        store.indexes.remember_wanted()
        roots = sorted({*store.roots(), *plan.roots} - plan.left_out)
        store.catalog.write(lambda writer: writer.set_roots(roots))
        if tally.to_do:
            if on is None:
                progress.start("indexing", tally.to_do)
                _embed(store, comparison, report, progress, indexer)
            else:
                _embed_on(on, store, comparison, tally.to_do, report, progress, indexer)
        if tally.gone or tally.stale:
            report.removed += comparison.sweep(store.catalog)
        store.catalog.remove_orphans()
        missing = comparison.missing
        store.catalog.write(
            lambda writer: writer.forget_roots(
                lambda root: root not in missing if is_address(root) else os.path.isdir(root)
            )
        )
        indexer.finish(progress)
    except KeyboardInterrupt:
        report.stopped = True
    finally:
        indexer.stop()
    return report


def _embed(
    store: Store,
    comparison: Comparison,
    report: BuildReport,
    progress: Progress,
    indexer: BackgroundIndexer,
) -> None:
    settings, limits = store.settings, Limits.of(store.settings)
    intake = Intake(store, comparison.codecs, report, progress, indexer.grown)
    made_by = store.about.made_by
    geometry = spec_of(made_by.backbone).converting(conversion_of(made_by)).geometry
    decoders = [
        Decoder(geometry, limits, settings.decode_seconds) for _ in range(settings.decoders())
    ]
    # Two batches ahead: while one is in the backbone, the next is being decoded.
    depth = 2 * pictures_a_pass(settings) + len(decoders)
    at_addresses = any(map(is_address, comparison.roots))
    with Pipeline(decoders, limits, depth, _READERS if at_addresses else 0) as pipeline:
        intake.take(pipeline.run(comparison.to_do(), intake.is_known))


def _embed_on(
    on: Ray,
    store: Store,
    comparison: Comparison,
    total: int,
    report: BuildReport,
    progress: Progress,
    indexer: BackgroundIndexer,
) -> None:
    with on.connected(store.settings, progress) as cluster:
        spreading = Spreading(store, cluster, codecs())
        intake = Intake(
            store, comparison.codecs, report, progress, indexer.grown, batch_size=spreading.block
        )
        progress.start("indexing", total)
        with closing(spreading.run(comparison.to_do())) as prepared:
            intake.take(prepared)


def _require_libraries(recipe: Recipe, settings: Settings) -> None:
    """Refuse what a new store can't be made with here, before its folders are walked."""
    name = recipe.backbone
    if name == "auto" and recipe.text:
        name = choose_text_backbone(settings)
    elif name == "auto":
        name = choose_backbone(settings, recipe.weights).backbone
    require_libraries(spec_of(name), settings, recipe.weights)


def _create(location: Location, recipe: Recipe, settings: Settings, progress: Progress) -> Store:
    name, why = recipe.backbone, ""
    if recipe.text:
        name = choose_text_backbone(settings) if name == "auto" else name
        require_text_space(spec_of(name))
        why = " (embeds text, and its weights are here)" if recipe.backbone == "auto" else ""
    elif name == "auto":
        choice = choose_backbone(settings, recipe.weights)
        name = choice.backbone
        why = f" ({choice.why})"
    embedder = load_embedder(name, settings, weights=recipe.weights, lens=recipe.lens)
    resolve.require_index(location, settings.index, embedder.lens.dimension)
    if recipe.text and (joint := embedder.backbone.spec.joint_dimension) is not None:
        resolve.require_index(location, settings.index, joint)
    progress.note(f"backbone: {name}{why}")
    if embedder.backbone.spec.faces is not None:
        progress.note(
            "faces are compared as well, and nothing leaves this machine; --faces off makes a "
            "store without them"
        )
    return Store.create(location, embedder, settings, recipe.weights, text=recipe.text)


def _require_same_recipe(store: Store, wanted: dict[str, object]) -> None:
    made_by = store.about.made_by.document()
    for key, value in wanted.items():
        if value != made_by[key]:
            what = key.removesuffix("_sha256")
            raise StoreMismatchError(
                f"{shown(store.location)} was made with another {what} ({made_by[key] or 'none'}, "
                f"asked for {value or 'none'}); a store has one: leave it out, or build another "
                "with --store"
            )


def _foretold(tally: Tally) -> BuildReport:
    return BuildReport(
        added=tally.new,
        updated=tally.changed,
        unchanged=tally.unchanged + tally.doubtful,
        removed=tally.gone,
        skipped=tally.skipped,
        left_out=tally.left_out,
    )


def _no_pictures(plan: _Plan, left_out: LeftOut) -> str:
    where = ", ".join(shown(root) for root in plan.roots)
    usual = ".jpg .png .webp .gif .tif .avif .heic .dng"
    others = len(SUFFIXES) - len(usual.split())
    said = [f"looked for {usual} and {others} other endings", "hidden files only with --hidden"]
    if kinds := left_out.kinds():
        found = ", ".join(f"{count:,} {shown(kind)}" for kind, count in kinds.items())
        said.append(f"can't be read here: {found}")
    if folders := left_out.system_folders:
        said.append(f"{shown(folders[0])} and the like only with --system-folders")
    if any(plan.rules[root].said.exclude for root in plan.roots):
        said.append("--exclude leaves out what it matches")
    return f"no pictures in {where} ({'; '.join(said)})"

"""The command line: parses, calls the library, renders. Click only; the rest is loaded late."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import click

from . import __version__, signals, streams
from .names import shown
from .parameters import (
    INTERRUPTED,
    OUTPUT,
    PATH,
    bars,
    batch_size_option,
    debug_option,
    device_option,
    runtime_option,
    store_option,
)


class _Commands(click.Group):
    """Those here, and those of other modules, which are loaded only when they are named: their many
    options take a query's time."""

    _elsewhere: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("eval", "submit", "train"), "lens_commands"),
        **dict.fromkeys(("backup", "forget", "repair", "verify"), "store_commands"),
    }

    def list_commands(self, context: click.Context) -> list[str]:
        """The names, in order."""
        return sorted([*super().list_commands(context), *self._elsewhere])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in self._elsewhere:
            return super().get_command(context, name)
        module = importlib.import_module(f".{self._elsewhere[name]}", __package__)
        return next(command for command in module.COMMANDS if command.name == name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tll-index")
@debug_option
def cli() -> None:
    """Which other pictures look like this one?

    Index folders of pictures with 'build', then ask with 'query'. What looks alike is learned from
    pairs of look-alikes: 'train' makes a lens, 'eval' judges it.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        from .errors import TllError

        raise TllError("the current folder is no longer there; change to another") from None


@cli.command()
@click.argument("folders", nargs=-1, type=PATH, metavar="[DIR]...")
@store_option
@click.option("--backbone", default="auto", show_default=True, help="See 'tll-index backbones'.")
@click.option("--weights", type=PATH, help="Weights file of the backbone.")
@click.option("--lens", metavar="FILE|none", help="Trained lens.  [default: the backbone's own]")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out names like this.")
@click.option("--hidden", is_flag=True, help="Also files and folders that begin with a dot.")
@click.option("--follow-links", is_flag=True, help="Also through symbolic links.")
@click.option(
    "--checksum", is_flag=True, help="Also read files of unchanged size and time, and compare."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--allow-empty", is_flag=True, help="Believe that a folder lost all its pictures.")
@click.option("--report", type=OUTPUT, help="List skipped files (JSON lines).")
@device_option
@runtime_option
@batch_size_option
@click.option("--workers", type=int, help="Decoder processes.  [default: one for each core]")
@click.option(
    "--index",
    metavar="KIND",
    help="auto, flat, ivf, hnsw, or a FAISS factory string; the store keeps to it.  "
    "[default: auto, by size and memory]",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="What the index and the vectors it compares may take, such as 4G; the store keeps to it.  "
    "[default: half of the machine's]",
)
@click.option("--max-megapixels", type=int, help="Skip larger pictures.  [default: 178]")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
@debug_option
def build(
    folders: tuple[Path, ...],
    store: Path | None,
    backbone: str,
    weights: Path | None,
    lens: str | None,
    exclude: tuple[str, ...],
    hidden: bool,
    follow_links: bool,
    checksum: bool,
    dry_run: bool,
    allow_empty: bool,
    report: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Index the pictures in folders, or bring an index up to date.

    Without DIR, the folders that the store was built from. Unchanged files are not opened, moved
    ones not embedded again. Ctrl-C stops; the same command goes on from there.
    """
    import time

    from . import render
    from .config import load_settings
    from .indexer.build import Recipe
    from .indexer.build import build as build_store
    from .indexer.layout import place_to_build
    from .indexer.walk import Rules

    loaded = load_settings(store=store, **settings)
    started = time.monotonic()
    try:
        with bars(quiet) as progress:
            result = build_store(
                folders,
                recipe=Recipe(backbone, weights, lens if lens in (None, "none") else Path(lens)),
                rules=Rules(exclude, hidden, follow_links),
                allow_empty=allow_empty,
                checksum=checksum,
                dry_run=dry_run,
                progress=progress,
                settings=loaded,
            )
    except KeyboardInterrupt:  # before anything was done
        _end_stopped()
    if report is not None:
        lines = "".join(f"{line}\n" for line in render.skipped_lines(result.skipped))
        _write_text(report, lines)
    if not quiet:
        seconds = time.monotonic() - started
        path = shown(place_to_build(None, loaded))
        click.echo(render.summary(result, seconds, path, dry_run))
    if result.stopped:
        _end_stopped()


@cli.command()
@click.argument("pictures", nargs=-1, type=PATH, metavar="[PICTURE]...")
@store_option
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@click.option("--include-self", is_flag=True, help="Also the picture itself, if indexed.")
@click.option("--sample", type=click.IntRange(min=1), help="Ask with N pictures of the store.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a hit and line.")
@click.option("--paths", is_flag=True, help="Only the paths.")
@click.option("-0", "null", is_flag=True, help="Only the paths, each ended by a null byte.")
@click.option("--weights", type=PATH, help="The weights that made the store, if they moved.")
@click.option("--html", type=OUTPUT, help="Also write a page with pictures.")
@device_option
@runtime_option
@click.option("--max-megapixels", type=int, help="Refuse larger pictures.  [default: 178]")
@debug_option
def query(
    pictures: tuple[Path, ...],
    store: Path | None,
    k: int,
    include_self: bool,
    sample: int | None,
    as_json: bool,
    paths: bool,
    null: bool,
    html: Path | None,
    weights: Path | None,
    **settings: Any,
) -> None:
    """Show the indexed pictures that look most like PICTURE; '-' reads one from standard input."""
    from . import render
    from .config import load_settings
    from .contracts import Hits
    from .engine.decode import Limits
    from .errors import PictureError, StoreError
    from .indexer.store import Store

    if not pictures and not sample:
        raise click.UsageError("name a picture, or let --sample N choose some of the store")
    if as_json and (paths or null):
        raise click.UsageError("--json and --paths exclude each other")
    asked = [os.fspath(picture) for picture in pictures]
    if asked.count("-") > 1:
        raise click.UsageError("standard input holds one picture: name '-' once")
    loaded = load_settings(store=store, **settings)
    results: list[tuple[Hits, bytes | None]] = []
    failed = False
    with Store.open(weights=weights, settings=loaded) as opened:
        if (held := len(opened)) == 0:
            raise StoreError(f"the store {opened.path} is empty; fill it with 'tll-index build'")
        for picture in (*asked, *(opened.sample(sample) if sample else ())):
            data = _standard_input(loaded.max_megabytes << 20) if picture == "-" else None
            try:
                hits = opened.query(
                    picture if data is None else data, k, include_self=include_self, name=picture
                )
            except PictureError as error:
                failed = True
                _complain(error if error.source is not None else error.at("standard input"))
                continue
            results.append((hits, data))
            if as_json:
                for line in render.json_lines(hits):
                    click.echo(line.encode())  # JSON is UTF-8, whatever the terminal speaks
            elif paths or null:
                for path in render.raw_paths(hits, b"\0" if null else b"\n"):
                    click.echo(path, nl=False)
            else:
                click.echo(("\n" if len(results) > 1 else "") + render.table(hits))
        if results and k > held:
            click.echo(f"(asked for {k}; the store holds {held:,} pictures)", err=True)
        if html is not None and results:
            title = f"Lookalikes among {held:,} pictures"
            _write_text(html, render.page(results, Limits.of(loaded), title))
            click.echo(f"wrote {html}", err=True)
    if failed:
        sys.exit(1)


@cli.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@debug_option
def info(store: Path | None, as_json: bool) -> None:
    """Say what made the store, what it holds, and what it takes on disk."""
    from . import render
    from .config import load_settings
    from .indexer.store import Store

    with Store.open(settings=load_settings(store=store)) as opened:
        facts = opened.info()
    click.echo(render.to_json(facts, indent=2) if as_json else render.facts(facts))


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON lines.")
@debug_option
@click.pass_context
def backbones(context: click.Context, as_json: bool) -> None:
    """List the backbones: what they are, whether their weights are here, how to get them."""
    if context.invoked_subcommand is not None:
        return
    from . import render
    from .config import load_settings
    from .engine.listing import listing

    rows = listing(load_settings())
    click.echo("\n".join(map(render.to_json, rows)) if as_json else render.backbones(rows))


@backbones.command()
@click.argument("name")
@debug_option
def fetch(name: str) -> None:
    """Download the weights of the backbone NAME into the user's weights folder."""
    from .config import load_settings
    from .engine.registry import spec_of
    from .engine.weights import fetch as fetch_weights

    click.echo(f"wrote {fetch_weights(spec_of(name), load_settings().weights_dir)}")


def _end_stopped() -> NoReturn:
    click.echo("stopped; run the same command again to go on", err=True)
    sys.exit(INTERRUPTED)


def _standard_input(max_bytes: int) -> bytes:
    if sys.stdin is None:
        from .errors import MissingPictureError

        raise MissingPictureError("is closed", "standard input")
    data = sys.stdin.buffer.read(max_bytes + 1)
    if len(data) > max_bytes:
        from .errors import TooLargePictureError

        raise TooLargePictureError(f"has more than {max_bytes >> 20} MiB", "standard input")
    return data


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        from .errors import TllError

        raise TllError(f"{path} can't be written: {error.strerror}") from None


def _complain(error: object) -> None:
    click.echo(f"tll-index: {shown(str(error))}", err=True)


def main() -> NoReturn:
    """Run the command line: 0 done, 1 failed, 2 wrong usage, 128 + its number for a signal that
    stopped it, such as 130 for Ctrl-C."""
    streams.prepare()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' remarks about pictures; ours are errors
    try:
        with signals.heeded():
            status = _run(sys.argv[1:])
    except (KeyboardInterrupt, click.Abort):
        _complain("stopped")
        status = INTERRUPTED
    sys.exit(signals.status(status))


def _run(arguments: list[str]) -> int:
    """Run a command; its exit status."""
    context: dict[str, Any] = {}
    try:
        with cli.make_context("tll-index", arguments) as root:
            context = root.meta
            cli.invoke(root)
        return 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except streams.OutputError as error:
        if error.had_enough:
            return 0
        _complain(error)
        return 1
    except Exception as error:
        from .errors import TllError, UsageError

        if context.get("debug"):
            raise
        if not isinstance(error, TllError):
            error = TllError(f"unexpected {error!r}: a bug; please report what --debug shows")
        _complain(error)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    main()

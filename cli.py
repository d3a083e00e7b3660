"""The command line: parses, calls the library, renders. Click only; the rest is loaded late."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click

from .commands.building import build_options, building
from .commands.completion import complete_shell
from .commands.parameters import (
    INTERRUPTED,
    OUTPUT,
    PLACE,
    bars,
    debug_option,
    format_option,
    quiet_option,
    store_option,
    write_result,
)
from .core import signals, streams
from .core.names import shown
from .core.version import __version__


class _Commands(click.Group):
    """Those here, and those of other modules, which are loaded only when they are named: their many
    options take a query's time."""

    _elsewhere: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("backup", "forget", "repair", "verify"), "store"),
        "completion": "completion",
        **dict.fromkeys(("dupes", "pairs"), "collection"),
        **dict.fromkeys(("eval", "submit", "train"), "lens"),
        **dict.fromkeys(("copy", "export", "import", "merge"), "exchange"),
        "query": "query",
        "serve": "serve",
        "watch": "watch",
        "why": "why",
    }
    """Which module of `commands` has each."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names, in order."""
        return sorted([*super().list_commands(context), *self._elsewhere])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in self._elsewhere:
            return super().get_command(context, name)
        module = importlib.import_module(f".commands.{self._elsewhere[name]}", __package__)
        return next(command for command in module.COMMANDS if command.name == name)


if TYPE_CHECKING:
    from .core.location import Location


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
        from .core.errors import TllError

        raise TllError("the current folder is no longer there; change to another") from None


@cli.command()
@click.argument("folders", nargs=-1, type=PLACE, metavar="[DIR]...")
@build_options
@click.option(
    "--checksum", is_flag=True, help="Also read files of unchanged size and time, and compare."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--allow-empty", is_flag=True, help="Believe that a folder lost all its pictures.")
@click.option(
    "--on", type=click.Choice(["ray"]), help="Embed on a Ray cluster, or a Ray of this machine."
)
@click.option(
    "--address",
    metavar="auto|HOST:PORT",
    help="The Ray cluster, of which this machine is a node.  [default: Ray is started here]",
)
@click.option("--report", type=OUTPUT, help="List what was skipped or passed over (JSON lines).")
@quiet_option
@debug_option
def build(
    folders: tuple[Path, ...],
    checksum: bool,
    dry_run: bool,
    allow_empty: bool,
    on: str | None,
    address: str | None,
    report: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Index the pictures in folders, or bring an index up to date.

    DIR is a folder, or the address of one, such as s3://bucket/pictures. Without DIR, the folders
    that the store was built from, by the rules that it remembers of each. Unchanged files are not
    opened, moved ones not embedded again. Ctrl-C stops; the same command goes on from there.
    """
    import time

    from .indexer.backends.layout import location_to_build
    from .indexer.ingest.build import build as build_store
    from .indexer.ray.cluster import Ray
    from .rendering import render

    if address is not None and on is None:
        raise click.UsageError("--address is of --on ray")
    how = building(options)
    started = time.monotonic()
    try:
        with bars(quiet) as progress:
            result = build_store(
                folders,
                allow_empty=allow_empty,
                checksum=checksum,
                dry_run=dry_run,
                progress=progress,
                on=None if on is None else Ray(address),
                **how,
            )
    except KeyboardInterrupt:  # before anything was done
        _end_stopped()
    if report is not None:
        lines = "".join(f"{line}\n" for line in render.report_lines(result))
        write_result(report, lines.encode())
    if not quiet:
        seconds = time.monotonic() - started
        path = shown(location_to_build(None, how["settings"]))
        click.echo(render.summary(result, seconds, path, dry_run))
    if result.stopped:
        _end_stopped()


@cli.command()
@store_option
@format_option("table", "json", "jsonl", "csv")
@debug_option
def info(store: Location | None, format: str) -> None:
    """Say what made the store, what it holds, and what it takes on disk."""
    from .core.config import load_settings
    from .indexer.store.store import Store
    from .rendering import render
    from .rendering.formats import facts_as

    with Store.open(settings=load_settings(store=store)) as opened:
        facts = opened.info()
    if format == "table":
        click.echo(render.facts(facts))
    else:
        click.echo(facts_as(format, facts), nl=False)


@cli.group(invoke_without_command=True)
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@debug_option
@click.pass_context
def backbones(context: click.Context, format: str) -> None:
    """List the backbones: what they are, whether their weights are here, how to get them."""
    if context.invoked_subcommand is not None:
        return
    from .core.config import load_settings
    from .engine.lens.listing import listing
    from .rendering import render
    from .rendering.formats import rows_as

    rows = listing(load_settings())
    if format == "table":
        click.echo(render.backbones(rows))
    else:
        click.echo(rows_as(format, rows), nl=False)


@backbones.command()
@click.argument("name")
@debug_option
def fetch(name: str) -> None:
    """Download the weights of the backbone NAME into the user's weights folder."""
    from .core.config import load_settings
    from .engine.backbones.registry import spec_of
    from .engine.backbones.weights import fetch as fetch_weights

    click.echo(f"wrote {fetch_weights(spec_of(name), load_settings().weights_dir)}")


def _end_stopped() -> NoReturn:
    click.echo("stopped; run the same command again to go on", err=True)
    sys.exit(INTERRUPTED)


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
        if (answered := complete_shell(cli)) is not None:
            return answered
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
        from .core.errors import TllError, UsageError

        if context.get("debug"):
            raise
        if not isinstance(error, TllError):
            error = TllError(f"unexpected {error!r}: a bug; please report what --debug shows")
        _complain(error)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    main()

"""The command line: finds the command that is named, runs it, translates errors.

It imports click only; the rest is loaded late.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import click

from .commands.completion import complete_shell
from .commands.shared.interrupts import INTERRUPTED
from .commands.shared.options import debug_option
from .core import signals, streams
from .core.names import shown
from .core.version import __version__

COMMANDS = {
    "backbones": "List the backbones, and which weights are here.",
    "backup": "Copy the store, while others use it.",
    "build": "Index the pictures in folders, or bring an index up to date.",
    "completion": "Print a script that makes the shell complete commands.",
    "copy": "Copy a store to another folder or Milvus, and verify it.",
    "dupes": "Show which files are the same picture, or nearly.",
    "eval": "Say how well look-alikes find each other.",
    "export": "Write vectors and metadata for other tools.",
    "forget": "Really remove pictures: no byte of them stays in the store.",
    "import": "Put embeddings that clip-retrieval made into a store.",
    "info": "Say what made the store, and what it holds.",
    "merge": "Put the pictures of other stores into the store.",
    "pairs": "Show the most striking pairs of pictures.",
    "query": "Show the indexed pictures that look most like a picture.",
    "repair": "Mend a damaged store.",
    "serve": "Serve a page to look on from picture to picture, and a JSON API.",
    "submit": "Score candidates in Kaggle's format.",
    "train": "Learn from pairs of look-alikes what looks alike.",
    "verify": "Check every record, vector, path and index entry.",
    "watch": "Keep an index up to date until Ctrl-C.",
    "why": "Show which regions make two pictures alike.",
}
"""What `--help` says of each. It is a module of `commands`, in which the command has the module's
name."""

_PYTHONS_OWN = ("eval", "import")
"""Names that Python has taken, which end with an underscore there."""


class _Commands(click.Group):
    """The group of all commands. A command is loaded when it is named: the many options of the
    others would take a query's time."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names, in order."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in COMMANDS:
            return None
        module = f"{name}_" if name in _PYTHONS_OWN else name
        found = importlib.import_module(f".commands.{module}", __package__)
        command: click.Command = getattr(found, module)
        command.short_help = COMMANDS[name]
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of `--help`, for which none has to be loaded."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tll-index")
@debug_option
def cli() -> None:
    """Which other pictures look like this one?

    Index folders of pictures with 'build', then search with 'query'. What looks alike is learned
    from pairs of look-alikes: 'train' makes a lens, 'eval' judges it.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        from .core.errors import TllError

        raise TllError("the current folder is no longer there; change to another") from None


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
        if (status := complete_shell(cli)) is not None:
            return status
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

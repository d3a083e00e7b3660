"""The command line: finds the command that is named, runs it, translates errors.

It imports click only; the rest is loaded late.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import warnings
from typing import Any, NoReturn

import click

from .commands.completion import complete_shell
from .commands.shared.debug import debug_option
from .commands.shared.interrupts import INTERRUPTED
from .commands.shared.usage_errors import SuggestingGroup, one_line
from .core import signals, streams
from .core.names import shown
from .core.version import __version__

GROUPS = {
    "Everyday": {
        "build": "Index the pictures in folders, or bring an index up to date.",
        "query": "Show the indexed pictures that look most like a picture.",
        "why": "Show which regions make two pictures alike.",
        "watch": "Keep an index up to date until Ctrl-C.",
        "serve": "Serve a page for browsing by likeness, and a JSON API.",
        "info": "Say what made the store, and what it holds.",
        "completion": "Print a script that makes the shell complete commands.",
    },
    "Collection": {
        "dupes": "Show which files are the same picture, or nearly.",
        "pairs": "Show the most striking pairs of look-alikes.",
    },
    "Care": {
        "verify": "Check every record, vector, path and index entry.",
        "repair": "Mend a damaged store.",
        "backup": "Copy the store to a folder, while others use it.",
        "forget": "Really remove pictures: no byte of them stays in the store.",
    },
    "Training": {
        "train": "Learn from pairs of look-alikes what looks alike.",
        "eval": "Measure how well look-alikes find each other.",
        "submit": "Score candidates in Kaggle's format.",
        "backbones": "List the backbones, and say whose weights are here.",
    },
    "Exchange": {
        "copy": "Copy a store to another folder or Milvus, and verify it.",
        "merge": "Put the pictures of other stores into the store.",
        "export": "Write vectors and metadata for other tools.",
        "import": "Make a store of embeddings from clip-retrieval.",
    },
}
"""The commands as `--help` lists them, and what it says of each. A command is in a module of
`commands`, and both have the same name."""

COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}
"""What `--help` says of each command."""

_PYTHONS_OWN = ("eval", "import")
"""Names that Python has taken, which end with an underscore there."""

_ENABLE_COLLECTION_THEMSELVES = ("query",)
"""Commands before which the collection of garbage stays off (see `__main__`): often they end before
there is any."""

_NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""What newer versions of click raise to print the help where there are no arguments."""


class _Commands(SuggestingGroup):
    """The group of all commands. A command is loaded when it is named: the many options of the
    others would take a query's time."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names, in order."""
        return sorted(COMMANDS)

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
        """Write the lists of `--help`, for which none has to be loaded."""
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", said) for name, said in commands.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="'tll-index COMMAND --help' says more about a command.",
)
@click.version_option(__version__, prog_name="tll-index")
@debug_option
@click.pass_context
def cli(context: click.Context) -> None:
    """Which other pictures look like this one?

    Index folders of pictures with 'build', then search them with 'query'. What looks alike is
    learned from pairs of look-alikes: 'train' makes a lens from them, 'eval' measures it.
    """
    if context.invoked_subcommand not in _ENABLE_COLLECTION_THEMSELVES:
        gc.enable()
    try:
        os.getcwd()
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
        if isinstance(error, _NO_ARGUMENTS):
            error.show()
        elif isinstance(error, click.UsageError):
            _complain(one_line(error, arguments))
        else:
            _complain(error.format_message())
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

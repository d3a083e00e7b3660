"""Usage errors of click -> one line each: what is wrong, and what may be meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

import click

_MOST = 3
"""Commands that are named; of the rest, how many there are."""


class SuggestingGroup(click.Group):
    """A group of commands that says which of them may be meant by a name that it doesn't know."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group.resolve_command`."""
        name = arguments[0]
        is_known = name.startswith("-") or name in self.list_commands(context)
        if not is_known and not context.resilient_parsing:
            raise click.UsageError(_no_such_command(name, self, context), context)
        return super().resolve_command(context, arguments)


def one_line(error: click.UsageError, arguments: Sequence[str]) -> str:
    """What to say of an error; `arguments` is the command line."""
    context = error.ctx
    if context is None:
        return _lowered(error.format_message())
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error.option_name, context, arguments)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{_missing(error.param)}; {_see_help(context)}"
    if type(error) is click.BadParameter and error.param is not None:
        return f"{_name(error.param)}: {error.message.rstrip('.')}"
    message = error.format_message()
    if extra := re.match(r"Got unexpected extra arguments? \((.*)\)$", message, re.DOTALL):
        return _too_many(extra[1], context)
    return _lowered(message)


def _no_such_command(name: str, group: click.Group, context: click.Context) -> str:
    import shlex

    from .suggestions import commands_meant

    path, known = context.command_path, group.list_commands(context)
    is_root = context.parent is None
    if is_root:
        known = [*known, "backbones fetch", "--help", "--version"]
    meant = [f"'{path} {one}'" for one in commands_meant(name, known)]
    if is_root and os.path.exists(name) and (not meant or os.sep in name):
        if os.path.isdir(name):
            return f"{name!r} is a folder; to index it: {path} build {shlex.quote(name)}"
        return f"{name!r} is a file; to search with it: {path} query {shlex.quote(name)}"
    if meant:
        return f"no command {name!r}; did you mean {_joined(meant, 'or')}?"
    return f"no command {name!r}; '{path} --help' lists them"


def _no_such_option(name: str, context: click.Context, arguments: Sequence[str]) -> str:
    from .suggestions import options_meant

    typed = _as_typed(name, arguments)
    full = f"--{typed.strip('-')}" if len(typed) > len("-x") else typed
    owners = list(_owners(full, context.find_root()))
    if context.parent is None:
        return _before_a_command(typed, full, context, owners, arguments)
    here, known = context.command.name, _options(context.command)
    wrong = f"'{here}' has no option {typed}"
    if os.path.lexists(typed):
        return f"{wrong}; for the file of this name, say ./{typed}"
    if owners and full not in known:
        wrong = f"{full} is an option of {_some(owners)}, not of '{here}'"
    if meant := options_meant(typed, known) or options_meant(name, known):
        return f"{wrong}; did you mean {_joined(meant, 'or')}?"
    return wrong if owners else f"{wrong}; {_see_help(context)}"


def _before_a_command(
    typed: str,
    full: str,
    context: click.Context,
    owners: Sequence[str],
    arguments: Sequence[str],
) -> str:
    from .suggestions import options_meant

    path = context.command_path
    if owners:
        command = next((word for word in arguments if word in owners), owners[0])
        return f"{typed} comes after the command: '{path} {command} … {full}'"
    if meant := options_meant(typed, _options(context.command)):
        return f"no option {typed}; did you mean {_joined(meant, 'or')}?"
    return f"no option {typed}; {_see_help(context)}"


def _as_typed(name: str, arguments: Sequence[str]) -> str:
    """The whole of a long option with one dash, of which click names the first letter."""
    if name.startswith("--"):
        return name
    typed = (word.split("=")[0] for word in arguments if word.startswith(name))
    return max(typed, key=len, default=name)


def _owners(option: str, root: click.Context) -> Iterator[str]:
    """The commands that have an option."""
    group = root.command
    if isinstance(group, click.Group):
        for name in group.list_commands(root):
            command = group.get_command(root, name)
            if command is not None and option in _options(command):
                yield name


def _options(command: click.Command) -> list[str]:
    options = (one for one in command.params if isinstance(one, click.Option))
    return [name for one in options for name in (*one.opts, *one.secondary_opts)] + ["--help"]


def _some(commands: Sequence[str]) -> str:
    names = [f"'{name}'" for name in commands[:_MOST]]
    if rest := len(commands) - len(names):
        names.append(f"{rest} more")
    return _joined(names, "and")


def _joined(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _too_many(extra: str, context: click.Context) -> str:
    command = context.command
    if any(isinstance(one, click.Argument) for one in command.params):
        return f"'{command.name}' has no use for {extra!r}; {_see_help(context)}"
    if "--store" in _options(command):
        return f"'{command.name}' takes only options, not {extra!r}; the store is named by --store"
    return f"'{command.name}' takes only options, not {extra!r}; {_see_help(context)}"


def _missing(parameter: click.Parameter) -> str:
    choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
    known = f": one of {', '.join(map(str, choices))}" if choices else ""
    return f"{_name(parameter)} is missing{known}"


def _name(parameter: click.Parameter) -> str:
    """As the command line has it: `--store`, `DATA`."""
    if isinstance(parameter, click.Option):
        return max((*parameter.opts, *parameter.secondary_opts), key=len)
    return parameter.human_readable_name.strip("[].")


def _see_help(context: click.Context) -> str:
    return f"see '{context.command_path} --help'"


def _lowered(message: str) -> str:
    """Click's sentence, as this program has its own."""
    return message[:1].lower() + message[1:].removesuffix(".")

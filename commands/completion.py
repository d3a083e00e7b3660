"""`tll-index completion`: the shell completes commands, options, backbones and files."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class, shell_complete

from .shared.debug import debug_option

_NAME = "tll-index"
VARIABLE = "_TLL_INDEX_COMPLETE"
"""The environment variable by which a shell asks what could come next."""

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@debug_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes the shell complete commands, options, backbones and files.

    \b
    bash  eval "$(tll-index completion bash)"          in ~/.bashrc
    zsh   eval "$(tll-index completion zsh)"           in ~/.zshrc, after compinit
    fish  tll-index completion fish > ~/.config/fish/completions/tll-index.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    maker = kind(context.find_root().command, {}, _NAME, VARIABLE)
    # click's own `source` for bash runs bash to look at its version, and complains where there is
    # none: the script may be for another machine.
    template = maker.source_template
    click.echo(template % maker.source_vars())


def complete_shell(commands: click.Command) -> int | None:
    """Tell a shell what could come next, if it asks; the exit status, or None if it doesn't."""
    instruction = os.environ.get(VARIABLE)
    return shell_complete(commands, {}, _NAME, VARIABLE, instruction) if instruction else None

"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from ...core.config import FACES, HYPERLINKS, RUNTIMES
from .debug import debug_option as debug_option
from .param_types import OUTPUT, PATH, STORE, WholeNumber

_F = TypeVar("_F", bound=Callable[..., Any])


def each(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """All of them, in this order."""

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def _folders(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a folder."""
    return [CompletionItem(incomplete, type="dir")]


store_option = click.option(
    "--store",
    type=STORE,
    shell_complete=_folders,
    help="The store: a folder, or milvus://HOST:PORT/NAME.  [default: TLL_STORE, or the nearest "
    ".tll-index here or above]",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print no progress and no summary.")

no_progress_option = click.option("-q", "--quiet", is_flag=True, help="Print no progress.")

html_option = click.option("--html", type=OUTPUT, help="Also write a page with the pictures.")

hyperlinks_option = click.option(
    "--hyperlinks",
    type=click.Choice(HYPERLINKS),
    help="Make paths clickable.  [default: auto, on terminals that are known to do it]",
)

device_option = click.option(
    "--device",
    metavar="DEVICE",
    help="Where the network runs: auto, cpu, cuda or cuda:N.  [default: auto]",
)

runtime_option = click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="What runs the network.  [default: auto; on a CPU ONNX Runtime, and OpenVINO for many "
    "pictures in 8 bits]",
)

batch_size_option = click.option(
    "--batch-size",
    type=WholeNumber(),
    help="How many pictures go through the network at once.  [default: 32; on a GPU 256]",
)

workers_option = click.option(
    "--workers",
    type=WholeNumber(),
    help="How many processes decode pictures.  [default: one for each core, at most 8]",
)

max_megapixels_option = click.option(
    "--max-megapixels", type=WholeNumber(), help="Refuse larger pictures.  [default: 178]"
)

truncated_option = click.option(
    "--truncated/--no-truncated",
    default=None,
    help="Use pictures that are cut off, as far as they go.  [default: refuse them]",
)

store_weights_option = click.option(
    "--weights", type=PATH, help="The weights that made the store, if they have moved."
)


def _backbones(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ...engine.backbones.registry import specs

    return [
        CompletionItem(spec.name, help=spec.title)
        for spec in specs()
        if spec.name.startswith(incomplete)
    ]


def _named(command: _F) -> _F:
    """The same command, without `quality` and `faces`: it gets the backbone that is meant."""

    @functools.wraps(command)
    def named(*arguments: Any, quality: str | None, faces: str | None, **options: Any) -> Any:
        options["backbone"] = _backbone_of(options["backbone"], quality, faces)
        return command(*arguments, **options)

    return cast(_F, named)


def _backbone_of(backbone: str, quality: str | None, faces: str | None) -> str:
    from ...core.config import load_settings
    from ...engine.backbones.registry import QUALITIES, WITHOUT_FACES

    source = click.get_current_context().get_parameter_source("backbone")
    for option, value in (("quality", quality), ("faces", faces)):
        if value is not None and source is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{option} and --backbone exclude each other")
    if quality is not None or faces is not None:
        backbone = QUALITIES[quality or "default"]
    if source is ParameterSource.DEFAULT and backbone in WITHOUT_FACES:
        faces = faces or load_settings().faces
    return WITHOUT_FACES[backbone] if faces == "off" else backbone


def network_options(backbone: str) -> Callable[[_F], _F]:
    """Which network looks at pictures, and how; `backbone` is the default."""
    return each(
        click.option(
            "--backbone",
            default=backbone,
            show_default=True,
            shell_complete=_backbones,
            metavar="NAME",
            help="The network; 'tll-index backbones' lists them all.",
        ),
        click.option(
            "--quality",
            type=click.Choice(["default", "best"]),
            help="A network that comes along: best finds more look-alikes, and takes longer.",
        ),
        click.option(
            "--faces",
            type=click.Choice(FACES),
            help="Compare faces as well, or not: with the network that comes along.  [default: on]",
        ),
        click.option("--weights", type=PATH, help="The backbone's weights file."),
        device_option,
        runtime_option,
        batch_size_option,
        _named,
    )

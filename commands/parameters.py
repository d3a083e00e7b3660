"""What commands have in common: kinds of options, exit statuses, checks before long work."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import click
from click.shell_completion import CompletionItem

from ..core.config import HYPERLINKS, RUNTIMES
from ..core.errors import UsageError
from ..core.file_urls import is_file_url, path_of
from ..core.location import is_milvus, located
from ..core.names import shown
from ..engine.lens.options import RECIPES, TrainingOptions

if TYPE_CHECKING:
    from ..core.progress import Progress

_F = TypeVar("_F", bound=Callable[..., Any])

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells use it."""


class _Path(click.Path):
    """A file or folder, which a file: URL names as well."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if isinstance(value, (str, bytes)) and is_file_url(value):
            value = os.fsdecode(path_of(value))
        return super().convert(value, parameter, context)


PATH = _Path(path_type=Path, allow_dash=True, readable=False)
"""Whether a path can be used is for the library to say: in its words, with its exit status."""


class _Place(_Path):
    """A file or folder, or an address of one, such as s3://bucket/photo.jpg."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if "://" in str(value) and not is_file_url(str(value)):
            return value  # a `Path` would make one slash of two
        return super().convert(value, parameter, context)


PLACE = _Place(path_type=Path, allow_dash=True, readable=False)


class _Output(_Path):
    """A file to write; standard output is taken."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if value == "-":
            self.fail("name a file: standard output is for the results", parameter, context)
        return super().convert(value, parameter, context)


OUTPUT = _Output(path_type=Path, dir_okay=False)
OUTPUT_OR_FOLDER = _Output(path_type=Path)


def debug_option(function: _F) -> _F:
    """--debug, which every command takes."""

    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.find_root().meta["debug"] = True

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Show tracebacks of errors.",
    )(function)


FORMATS = {
    "table": "for people",
    "json": "one JSON value",
    "jsonl": "a JSON object a line",
    "csv": "a line with the columns' names, then the rows",
    "paths": "paths only",
    "paths0": "the same, each ended by a null byte",
}
"""What results can be printed as."""


def format_option(*formats: str, json: str = "json") -> Callable[[_F], _F]:
    """--format, whose value the command gets as `format`, and its short forms: --json, and where
    there are paths, --paths and -0. Two that contradict each other are refused.

    Args:
        formats: of `FORMATS`; the first is the default.
        json: what --json is short for.
    """
    known = "; ".join(f"{name}: {FORMATS[name]}" for name in formats)
    short = {"as_json": json, "as_paths": "paths", "null": "paths0"}
    options = [
        click.option(
            "--format",
            "format",
            type=click.Choice(formats),
            help=f"How results are printed. {known}.  [default: {formats[0]}]",
        ),
        click.option("--json", "as_json", is_flag=True, help=f"Short for --format {json}."),
    ]
    if "paths" in formats:
        options += [
            click.option("--paths", "as_paths", is_flag=True, help="Short for --format paths."),
            click.option("-0", "null", is_flag=True, help="Short for --format paths0."),
        ]

    def add(function: _F) -> _F:
        @functools.wraps(function)
        def with_one(*arguments: Any, format: str | None, **rest: Any) -> Any:
            flags = [wanted for flag, wanted in short.items() if rest.pop(flag, False)]
            items = {*flags, *([format] if format is not None else [])}
            if "paths0" in items:
                items.discard("paths")
            if len(items) > 1:
                first, second = sorted(items, key=formats.index)[:2]
                raise click.UsageError(f"formats exclude each other: {first} and {second}")
            return function(*arguments, format=items.pop() if items else formats[0], **rest)

        adorned: Any = with_one
        for option in reversed(options):
            adorned = option(adorned)
        return adorned

    return add


device_option = click.option("--device", help="auto, cpu, cuda, cuda:N.  [default: auto]")

hyperlinks_option = click.option(
    "--hyperlinks",
    type=click.Choice(HYPERLINKS),
    help="Paths that can be clicked.  [default: auto, on terminals that are known to do it]",
)

workers_option = click.option(
    "--workers", type=int, help="Decoder processes.  [default: one for each core]"
)

max_megapixels_option = click.option(
    "--max-megapixels", type=int, help="Refuse larger pictures.  [default: 178]"
)

truncated_option = click.option(
    "--truncated/--no-truncated",
    default=None,
    help="Take pictures that are cut off as far as they go.  [default: refuse them]",
)

runtime_option = click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="What runs the network.  [default: auto, which is ONNX Runtime on a CPU]",
)

batch_size_option = click.option(
    "--batch-size", type=int, help="Pictures a forward pass.  [default: 32; on a GPU 256]"
)

_TRAINING_HELP = {
    "scaling": "Before PCA: each value to the same variance, each pooled layer, or none.",
    "pca": "Dimensions that PCA keeps; 0 leaves it out.",
    "unlabelled": "Let PCA see pictures of no pair as well, where DATA has some.",
    "candidates": "Learn from guessed matches as well, where DATA has lists of candidates.",
    "start": "Begin with canonical directions of the pairs, or by chance.",
    "shrinkage": "cca: part of the covariance to replace by a multiple of the identity, 0 to 1.",
    "power": "cca: directions are scaled by their correlation to half this power.",
    "adaptation": "A matrix, a weight for each of PCA's values, or nothing.",
    "outputs": "Dimensions after a linear adaptation.",
    "relu": "Whether a ReLU follows the adaptation.",
    "temperature": "Cosines are multiplied by it before the softmax.",
    "direction": "Left pictures choose among right ones, or right ones among left ones as well.",
    "augment": "mirror: show each picture mirrored in half of the epochs; flip: in all.",
    "grey": "Look at pictures without their colour, in training and in use.",
    "batch": "Pairs a step, each the others' foils; 0 is all.",
    "epochs": "How often all pairs are learned from.",
    "lr": "Learning rate at the start; it falls along half a cosine to 0.",
    "weight_decay": "Of AdamW.",
    "dropout": "Part of PCA's values to set to 0 in training.",
    "hubs": "Weight of the penalty for answers that resemble everything; 0 is none.",
    "seed": "Of all that is left to chance, the folds too.",
}
"""Of each of `TrainingOptions`, whose type and default are read from there and from `RECIPES`."""

_SWITCHES = {
    "unlabelled": ("unlabelled", "no-unlabelled"),
    "candidates": ("candidates", "no-candidates"),
    "relu": ("relu", "linear"),
    "grey": ("grey", "colour"),
}
"""What options are called that are true or false."""


def training_options(function: _F) -> _F:
    """An option for each of `TrainingOptions`; None is the recipe's value."""
    hints = get_type_hints(TrainingOptions)
    for name in (field.name for field in reversed(fields(TrainingOptions))):
        flags, kind = f"--{name.replace('_', '-')}", hints[name]
        if switch := _SWITCHES.get(name):
            flags, kind = "/".join(f"--{word}" for word in switch), bool
        elif choices := get_args(kind):
            kind = click.Choice(choices)
        text = f"{_TRAINING_HELP[name]}  [{_defaults(name)}]"
        function = click.option(flags, name, type=kind, default=None, help=text)(function)
    return function


def _defaults(name: str) -> str:
    """What the recipes say about an option."""

    def said(recipe: str) -> str:
        value = getattr(RECIPES[recipe], name)
        if name in _SWITCHES:
            return _SWITCHES[name][0 if value else 1]
        return f"{value:g}" if isinstance(value, float) else str(value)

    others = [f"{recipe}: {said(recipe)}" for recipe in RECIPES if said(recipe) != said("ours")]
    return "; ".join([f"default: {said('ours')}", *others])


def folders(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Lets the shell complete a folder."""
    return [CompletionItem(incomplete, type="dir")]


def _backbones(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ..engine.backbones.registry import specs

    return [
        CompletionItem(spec.name, help=spec.title)
        for spec in specs()
        if spec.name.startswith(incomplete)
    ]


def backbone_option(default: str) -> Callable[[_F], _F]:
    """Which network looks at pictures."""
    return click.option(
        "--backbone",
        default=default,
        show_default=True,
        shell_complete=_backbones,
        help="See 'tll-index backbones'.",
    )


def each(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """All of them, in this order."""

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def network_options(backbone: str) -> Callable[[_F], _F]:
    """Which network looks at pictures, and how; `backbone` is the default."""
    return each(
        backbone_option(backbone),
        click.option("--weights", type=PATH, help="Weights file of the backbone."),
        device_option,
        runtime_option,
        batch_size_option,
    )


def require_place(path: Path) -> None:
    """Refuse, before the long work, a file that can't be written after it.

    Raises:
        TllError: says why.
    """
    from ..core.errors import TllError

    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise TllError(f"{shown(path)} can't be written: there is no folder {shown(folder)}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TllError(f"{shown(path)} can't be written: {shown(folder)} is not writable")


def write_result(path: Path, data: bytes) -> None:
    """Write a file that was asked for.

    Raises:
        TllError: says why it can't be.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        from ..core.errors import TllError

        raise TllError(f"{shown(path)} can't be written: {error.strerror}") from None


def write_and_say(path: Path, data: bytes) -> None:
    """The same, with a line on standard error that says so."""
    write_result(path, data)
    click.echo(f"wrote {shown(path)}", err=True)


class _Store(_Path):
    """A folder, or the address of a Milvus."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if isinstance(value, Path) or not is_milvus(value):
            return super().convert(value, parameter, context)
        try:
            return located(value)
        except UsageError as error:
            self.fail(str(error), parameter, context)


STORE = _Store(path_type=Path, allow_dash=True, readable=False)

store_option = click.option(
    "--store",
    type=STORE,
    shell_complete=folders,
    help="Its folder, or milvus://HOST:PORT/NAME.  [default: TLL_STORE, or the nearest .tll-index "
    "here or above]",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")


@contextmanager
def bars(quiet: bool) -> Iterator[Progress]:
    """Progress bars for long work on a store, or nothing."""
    from ..core.progress import Progress
    from ..rendering.progress import Bars

    with Progress() if quiet else Bars() as progress:
        yield progress

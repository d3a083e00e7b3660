"""What 'query' was told on the command line -> questions: which pictures, by which weights."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..core.file_urls import is_file_url, path_of
from ..core.names import shown

if TYPE_CHECKING:
    from ..engine.images.crops import Crop
    from ..rendering.results import QueryItem


@dataclass(frozen=True, slots=True)
class Weighed:
    """PICTURE or PICTURE=WEIGHT; a text likewise."""

    path: str
    """Of the picture; the text."""
    weight: float = 1.0


class WeighedPicture(click.ParamType[Weighed]):
    """What --plus and --minus take. A file whose own name ends like a weight is that file."""

    name = "picture[=weight]"

    def convert(self, value: Any, parameter: Any, context: Any) -> Weighed:
        """See `Weighed`."""
        if isinstance(value, Weighed):
            return value
        path, equals, number = value.rpartition("=")
        if not equals or not path or os.path.lexists(value):
            return self.weighed(value)
        try:
            weight = float(number)
        except ValueError:
            return self.weighed(value)
        if not math.isfinite(weight) or weight <= 0:
            self.fail(f"{shown(value)}: a weight is a number above 0", parameter, context)
        return self.weighed(path, weight)

    def weighed(self, value: str, weight: float = 1.0) -> Weighed:
        """Of a file: URL, its path is asked with."""
        return Weighed(os.fsdecode(path_of(value)) if is_file_url(value) else value, weight)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Files."""
        return click.Path().shell_complete(context, parameter, incomplete)


class WeighedText(WeighedPicture):
    """What --text and --minus-text take: a text, which may end with its weight."""

    name = "text[=weight]"

    def weighed(self, value: str, weight: float = 1.0) -> Weighed:
        """As it is."""
        return Weighed(value, weight)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Nothing: they are anybody's words."""
        return []


def questions(
    pictures: Sequence[str],
    *,
    plus: Sequence[Weighed] = (),
    minus: Sequence[Weighed] = (),
    text: Sequence[Weighed] = (),
    minus_text: Sequence[Weighed] = (),
    together: bool = False,
    crop: Crop | None = None,
    sample: int | None = None,
) -> list[tuple[QueryItem, ...]]:
    """One question for each picture; a single one where they belong together.

    Raises:
        click.UsageError: they make no sense.
    """
    from ..rendering.results import QueryItem

    given = [QueryItem(path, crop=crop) for path in pictures]
    given += [QueryItem(one.path, weight=one.weight, crop=crop) for one in plus]
    given += [QueryItem(one.path, weight=-one.weight, crop=crop) for one in minus]
    texts = [QueryItem(one.path, weight=one.weight, is_text=True) for one in text]
    texts += [QueryItem(one.path, weight=-one.weight, is_text=True) for one in minus_text]
    is_one = together or bool(plus or minus or texts)
    if crop is not None and (sample or len(given) != 1):
        raise click.UsageError("--crop is for one picture")
    given += texts
    if not given and not sample:
        raise click.UsageError(
            "name a picture, or let --sample N choose some of the store, or say --text"
        )
    if [one.path for one in given].count("-") > 1:
        raise click.UsageError("standard input holds one picture: name '-' once")
    if sample and is_one:
        raise click.UsageError("--sample asks with each picture by itself")
    return [tuple(given)] if is_one else [(one,) for one in given]

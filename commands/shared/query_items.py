"""The pictures and texts of a command line -> queries: which belong together, by which weights."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ...core.file_urls import is_file_url, path_of
from ...core.names import shown
from .param_types import ParamType

if TYPE_CHECKING:
    from ...engine.images.crops import Crop
    from ...rendering.results import QueryItem


@dataclass(frozen=True, slots=True)
class Weighted:
    """A picture or text of the command line, and its weight."""

    name: str
    """The picture's path; the text."""
    weight: float = 1.0


class WeightedPicture(ParamType[Weighted]):
    """The type of --plus and --minus: PICTURE or PICTURE=WEIGHT.

    A file whose own name ends like a weight is that file.
    """

    name = "picture[=weight]"

    def convert(self, value: Any, parameter: Any, context: Any) -> Weighted:
        """See `Weighted`."""
        if isinstance(value, Weighted):
            return value
        path, equals, number = value.rpartition("=")
        if not equals or not path or os.path.lexists(value):
            return self.weighted(value)
        try:
            weight = float(number)
        except ValueError:
            return self.weighted(value)
        if not math.isfinite(weight) or weight <= 0:
            self.fail(f"{shown(value)}: a weight is a number above 0", parameter, context)
        return self.weighted(path, weight)

    def weighted(self, value: str, weight: float = 1.0) -> Weighted:
        """A file: URL stands for its path."""
        return Weighted(os.fsdecode(path_of(value)) if is_file_url(value) else value, weight)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Files."""
        return click.Path().shell_complete(context, parameter, incomplete)


class WeightedText(WeightedPicture):
    """The type of --text and --minus-text: TEXT or TEXT=WEIGHT."""

    name = "text[=weight]"

    def weighted(self, value: str, weight: float = 1.0) -> Weighted:
        """As it is."""
        return Weighted(value, weight)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Nothing: a text can be any."""
        return []


class CropType(ParamType["Crop"]):
    """The type of --crop: x,y,w,h."""

    name = "x,y,w,h"

    def convert(self, value: Any, parameter: Any, context: Any) -> Crop:
        """See `Crop.parse`."""
        from ...core.errors import UsageError
        from ...engine.images.crops import Crop

        try:
            return value if isinstance(value, Crop) else Crop.parse(value)
        except UsageError as error:
            self.fail(str(error), parameter, context)


def query_items(
    pictures: Sequence[str],
    *,
    plus: Sequence[Weighted] = (),
    minus: Sequence[Weighted] = (),
    text: Sequence[Weighted] = (),
    minus_text: Sequence[Weighted] = (),
    together: bool = False,
    crop: Crop | None = None,
    sample: int | None = None,
) -> list[tuple[QueryItem, ...]]:
    """One query for each picture; a single one where they belong together.

    Raises:
        click.UsageError: they make no sense.
    """
    from ...rendering.results import QueryItem

    given = [QueryItem(path, crop=crop) for path in pictures]
    given += [QueryItem(one.name, weight=one.weight, crop=crop) for one in plus]
    given += [QueryItem(one.name, weight=-one.weight, crop=crop) for one in minus]
    texts = [QueryItem(one.name, weight=one.weight, is_text=True) for one in text]
    texts += [QueryItem(one.name, weight=-one.weight, is_text=True) for one in minus_text]
    is_one_query = together or bool(plus or minus or texts)
    if crop is not None and (sample or len(given) != 1):
        raise click.UsageError("--crop is for one picture")
    given += texts
    if not given and not sample:
        raise click.UsageError(
            "name a picture, or let --sample N choose some of the store, or say --text"
        )
    if [item.name for item in given].count("-") > 1:
        raise click.UsageError("standard input holds one picture: name '-' once")
    if sample and is_one_query:
        raise click.UsageError("--sample makes each picture a query of its own")
    return [tuple(given)] if is_one_query else [(item,) for item in given]

"""The types of parameters that name something: files, addresses, stores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core.errors import UsageError
from ...core.file_urls import is_file_url, path_of
from ...core.location import is_milvus, located

if TYPE_CHECKING:
    ParamType = click.ParamType
else:

    class ParamType(click.ParamType):
        """What newer versions of click have: a type that can say of which values."""

        def __class_getitem__(cls, values: type) -> type:
            return cls


class _Path(click.Path):
    """The type of a file or folder, which a file: URL names as well."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if isinstance(value, (str, bytes)) and is_file_url(value):
            value = os.fsdecode(path_of(value))
        return super().convert(value, parameter, context)


class _PathOrAddress(_Path):
    """The type of a file or folder, or of the address of one, such as s3://bucket/photo.jpg."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if "://" in str(value) and not is_file_url(str(value)):
            return value  # a `Path` would make one slash of two
        return super().convert(value, parameter, context)


class _OutputFile(_Path):
    """The type of a file to write, which standard output is not."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if value == "-":
            self.fail("name a file: standard output is for the results", parameter, context)
        return super().convert(value, parameter, context)


class _Store(_Path):
    """The type of a store's location: a folder, or the address of a Milvus."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if isinstance(value, Path) or not is_milvus(value):
            return super().convert(value, parameter, context)
        try:
            return located(value)
        except UsageError as error:
            self.fail(str(error), parameter, context)


class WholeNumber(ParamType[int]):
    """The type of a whole number, which may have a least one."""

    name = "n"

    def __init__(self, least: int | None = None) -> None:
        self.least = least

    def convert(self, value: Any, parameter: Any, context: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", parameter, context)
        if self.least is not None and number < self.least:
            self.fail(f"{number} is too small: at least {self.least}", parameter, context)
        return number


class Number(ParamType[float]):
    """The type of a number."""

    name = "x"

    def convert(self, value: Any, parameter: Any, context: Any) -> float:
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", parameter, context)


# Whether a path can be used is for the library to say: with its message and exit status.
PATH = _Path(path_type=Path, allow_dash=True, readable=False)
PATH_OR_ADDRESS = _PathOrAddress(path_type=Path, allow_dash=True, readable=False)
OUTPUT = _OutputFile(path_type=Path, dir_okay=False)
OUTPUT_OR_FOLDER = _OutputFile(path_type=Path)
STORE = _Store(path_type=Path, allow_dash=True, readable=False)

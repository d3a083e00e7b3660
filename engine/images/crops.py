"""A part of a picture: where in it, in pixels or in hundredths of its sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...core.errors import OutsidePictureError, UsageError


@dataclass(frozen=True)
class Crop:
    """A rectangle in an upright picture."""

    x: float
    y: float
    """Of its upper left corner."""
    width: float
    height: float
    in_percent: bool = False
    """Whether the four are hundredths of the picture's sides; otherwise pixels."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x, self.y, self.width, self.height))):
            raise UsageError(f"crop {self}: its numbers must be finite")
        if self.width <= 0 or self.height <= 0:
            raise UsageError(f"crop {self}: width and height must be above 0")

    def __str__(self) -> str:
        unit = "%" if self.in_percent else ""
        return ",".join(f"{one:g}{unit}" for one in (self.x, self.y, self.width, self.height))

    @classmethod
    def parse(cls, text: str) -> Crop:
        """`x,y,width,height`: all in pixels, such as `100,40,300,200`, or all with a percent sign.

        Raises:
            UsageError: it is something else.
        """
        parts = [part.strip() for part in text.split(",")]
        in_percent = all(part.endswith("%") for part in parts)
        try:
            x, y, width, height = (float(part.removesuffix("%")) for part in parts)
            if not in_percent and "%" in text:
                raise ValueError
        except ValueError:
            raise UsageError(
                f"crop {text!r}: expected x,y,width,height, in pixels (100,40,300,200) or in "
                "percent (25%,10%,50%,50%)"
            ) from None
        return cls(x, y, width, height, in_percent)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in a picture of that size, in whole pixels, at least one a side;
        what reaches out of the picture is left off.

        Raises:
            OutsidePictureError: all of it is outside.
        """
        across, down = (width / 100, height / 100) if self.in_percent else (1.0, 1.0)
        left, right = _span(self.x * across, self.width * across, width)
        top, bottom = _span(self.y * down, self.height * down, height)
        if left >= right or top >= bottom:
            raise OutsidePictureError(f"has {width} x {height} pixels: {self} is outside of it")
        return left, top, right, bottom


def _span(start: float, length: float, side: int) -> tuple[int, int]:
    first = math.floor(start + 0.5)
    last = max(first + 1, math.floor(start + length + 0.5))
    return max(0, first), min(side, last)

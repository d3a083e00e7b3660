"""Parts of pictures, in shares of their sides."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A part of a picture, in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def of(self, outer: Box) -> Box:
        """This part of that part, in shares of the whole picture."""
        wide, tall = outer.size
        return Box(
            outer.left + self.left * wide,
            outer.top + self.top * tall,
            outer.left + self.right * wide,
            outer.top + self.bottom * tall,
        )


WHOLE = Box(0.0, 0.0, 1.0, 1.0)

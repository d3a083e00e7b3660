"""Which endings are of pictures, and which of them are passed over."""

from __future__ import annotations

import pytest

from tll_index.engine.images.decode import SUFFIXES
from tll_index.engine.images.file_kinds import PICTURE_KINDS, ending_of, unread


@pytest.mark.parametrize("name", [b"IMG_1.CRW", b"b.SVG", b"\xff.exr", b"x.tar.xcf"])
def test_pictures_of_other_programs(name: bytes) -> None:
    assert unread(name) == PICTURE_KINDS[ending_of(name)]


@pytest.mark.parametrize("name", [b"a.jpg", b"a.TIFF", b"notes.txt", b"xcf", b".xcf", b"a.mp4"])
def test_what_is_read_or_no_picture(name: bytes) -> None:
    assert unread(name) is None


def test_an_ending_that_is_opened_is_never_unread() -> None:
    assert not [ending for ending in SUFFIXES if unread(b"a" + ending)]

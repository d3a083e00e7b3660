"""Files that are two things at once, or none of ours whatever their name says. Each is always the
same."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from functools import partial

from .parts import Part
from .valid import drawn, png_with, valid

Maker = Callable[[], bytes]


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), "hello")
    return out.getvalue()


def _gif_script() -> bytes:
    data = valid()["gif"]
    return data[:6] + b"/*" + data[8:] + b"*/=1;alert(1)//"


def _in_format(format: str, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    drawn(9).convert(mode).save(out, format)
    return out.getvalue()


def _postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) (r) file\nshowpage\n"


_TEXTS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "svg with entities": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;</svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript>>>>endobj\n%%EOF",
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "text": b"hello world\n" * 9,
    "script": b"#!/bin/sh\necho hello\n",
    "program": b"\x7fELF\2\1\1" + bytes(200),
    "photoshop": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(9),
    "windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "kodak": b"\0" * 2048 + b"PCD_" + bytes(900),
    "mpeg": b"\0\0\1\xb3\xff\xff\xff" + bytes(99),
    "matroska": b"\x1aE\xdf\xa3" + bytes(99),
    "video in boxes": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99),
    "zeros": bytes(4096),
    "one byte": b"\xff",
    "nothing": b"",
    "only a beginning": b"\xff\xd8\xff",
    "portable": b"P6 60000 60000 255\n" + bytes(99),
}
_OTHERS = ("EPS", "PDF", "ICO", "ICNS", "TGA", "PCX", "PPM", "SGI", "SPIDER", "QOI", "DDS")

GUISES: dict[str, dict[str, Maker]] = {
    "two things at once": {
        "jpeg and zip": lambda: valid()["jpeg"] + _zip(),
        "png and html": lambda: valid()["png-RGB"] + _TEXTS["html"],
        "png with a script": lambda: png_with(Part(b"tEXt", b"x\0<script>alert(1)</script>")),
        "gif and script": _gif_script,
        "pdf and jpeg": lambda: _TEXTS["pdf"] + valid()["jpeg"],
        "zip and png": lambda: _zip() + valid()["png-RGB"],
        "jpeg and png": lambda: valid()["jpeg"] + valid()["png-RGB"],
        "jpeg named RIFF": lambda: b"RIFF" + valid()["jpeg"],
        "webp in a png": lambda: png_with(Part(b"eXIf", valid()["webp"])),
    },
    "not ours": {
        **{name: partial(bytes, text) for name, text in _TEXTS.items()},
        **{format.lower(): partial(_in_format, format) for format in _OTHERS if format != "SPIDER"},
        "spider": partial(_in_format, "SPIDER", "F"),
        "postscript": _postscript,
        "zip": _zip,
    },
}
"""By kind and name: what makes it."""

"""Valid pictures of every format that is read, small and the same each time: what is mutated."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import ExifTags, Image

from .parts import PNG, Part, apart, together

_SIZE = (72, 56)


def drawn(seed: int, width: int = _SIZE[0], height: int = _SIZE[1]) -> Image.Image:
    """Coloured blocks and some grain, from a seed."""
    generator = np.random.default_rng(seed)
    blocks = Image.fromarray(generator.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    soft = np.asarray(blocks.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-9, 10, soft.shape, dtype=np.int16)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


@cache
def valid() -> dict[str, bytes]:
    """Picture files by name, which begins with the format."""
    return dict(_pictures())


def png_with(*parts: Part) -> bytes:
    """A valid PNG and, behind its header, these chunks."""
    first, *rest = apart(valid()["png-RGB"])
    return together([first, *parts, *rest], PNG)


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    # Copies: plugins leave things behind in the images that they save.
    image.copy().save(out, format, **options)
    return out.getvalue()


def _frames(image: Image.Image, format: str, **options: object) -> bytes:
    more = [drawn(seed) for seed in (5, 6)]
    return _saved(image, format, save_all=True, append_images=more, **options)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "nobody's"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0hello"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return exif


def _profile() -> bytes:
    """The beginning of an ICC profile, and nothing that makes sense."""
    return (612).to_bytes(4, "big") + b"none\2\x10\0\0mntrRGB XYZ " + bytes(range(256)) * 2


def _pictures() -> Iterator[tuple[str, bytes]]:
    rgb, grey = drawn(1), drawn(2).convert("L")
    clear = drawn(3).convert("RGBA")
    clear.putalpha(grey)
    palette, deep = drawn(4).quantize(32), np.asarray(grey).astype(np.uint16) * 257
    exif = {"exif": _exif(), "icc_profile": _profile()}

    yield "jpeg", _saved(rgb, "JPEG")
    yield "jpeg-progressive", _saved(rgb, "JPEG", progressive=True, subsampling=0)
    yield "jpeg-grey", _saved(grey, "JPEG", restart_marker_blocks=2)
    yield "jpeg-cmyk", _saved(rgb.convert("CMYK"), "JPEG")
    yield "jpeg-exif", _saved(rgb, "JPEG", comment=b"hello", **exif)
    yield "jpeg-mpo", _frames(rgb, "MPO")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = clear.convert(mode) if mode != "P" else palette
        yield f"png-{mode}", _saved(image, "PNG")
    yield "png-16", _saved(Image.fromarray(deep), "PNG")
    yield "png-clear", _saved(palette, "PNG", transparency=bytes(range(32)), **exif)
    yield "png-animated", _frames(rgb, "PNG")
    yield "webp", _saved(rgb, "WEBP", **exif)
    yield "webp-lossless", _saved(clear, "WEBP", lossless=True)
    yield "webp-animated", _frames(rgb, "WEBP")
    yield "gif", _saved(palette, "GIF", comment=b"hello", transparency=3)
    yield "gif-animated", _frames(rgb, "GIF")
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        image = clear.convert(mode) if mode != "P" else palette
        yield f"bmp-{mode}", _saved(image, "BMP")
    yield "bmp-dib", _saved(rgb, "DIB")
    for pack in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"):
        yield f"tiff-{pack}", _saved(rgb, "TIFF", compression=pack)
    yield "tiff-group4", _saved(rgb.convert("1"), "TIFF", compression="group4")
    yield "tiff-big", _saved(rgb, "TIFF", big_tiff=True)
    yield "tiff-16", _saved(Image.fromarray(deep), "TIFF", compression="tiff_lzw")
    yield "tiff-float", _saved(Image.fromarray(deep.astype(np.float32)), "TIFF")
    yield "tiff-exif", _saved(clear, "TIFF", **exif)
    yield "tiff-frames", _frames(rgb, "TIFF", compression="tiff_lzw")
    yield "avif", _saved(rgb, "AVIF", speed=10, **exif)
    yield "avif-clear", _saved(clear, "AVIF", speed=10)
    yield "avif-animated", _frames(rgb, "AVIF", speed=10)
    try:
        import pillow_heif
    except ImportError:  # HEIC is an extra
        return
    pillow_heif.register_heif_opener()
    yield "heif", _saved(rgb, "HEIF", exif=_exif())
    yield "heif-frames", _frames(rgb, "HEIF")

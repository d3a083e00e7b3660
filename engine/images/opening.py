"""Bytes -> an opened picture, within limits, with typed failures.

Pictures are untrusted: sizes are checked before pixels are decoded, only the listed formats are
tried, and whatever a decoder raises becomes one of the `PictureError`s.

A file is read strictly first. One that can't be read so is read again without what its pixels don't
need (`attempts.py`): metadata never costs a picture, and never changes one that could be read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from PIL import (  # noqa: F401  (importing a plugin registers its format; Pillow would load all)
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from ...core.config import Settings
from ...core.errors import (
    DamagedPictureError,
    EmptyPictureError,
    MissingCodecError,
    NotAPictureError,
    PictureError,
    TooLargePictureError,
)
from .attempts import ATTEMPTS, FILLED_UP, HINT, Certain
from .color_modes import CONVERSION
from .formats.raw_files import is_raw
from .formats.signatures import PLUGINS, claimed_pixels, jxl_size, kind_of

SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff"
    b" .avif .avifs .heic .heif .hif"
    b" .ppm .pgm .pbm .pnm .pam .pfm .tga .ico .cur .pcx .sgi .rgb .bw .qoi .dds .psd"
    b" .jp2 .j2k .j2c .jpx .jpf .jpc .jxl"
    b" .dng .cr2 .cr3 .nef .nrw .arw .srf .sr2 .raf .orf .rw2 .pef .srw .x3f .mrw .3fr .iiq"
    b" .erf .kdc .dcr .mos .mef .rwl".split()
)
"""Lower-case endings of the files that a build looks at; what they hold is decided by content."""

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF")
"""Pillow's names of the formats that are always tried; others join them for what begins like a
file of theirs (`signatures.PLUGINS`)."""

_EXTRAS = {"HEIC": "heic", "JPEG XL": "jxl"}
"""Kinds whose plugin is an extra."""

_NOT_READ = frozenset(
    (
        "SVG",
        "PDF",
        "PostScript",
        "OpenEXR",
        "Radiance HDR",
        "FITS",
        "GIMP",
        "Apple icons",
        "DjVu",
        "Windows metafile",
        "ZIP archive",
        "gzip file",
        "Matroska video",
        "video",
        "text",
        "JPEG XR",
    )
)


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a picture is refused before it is decoded."""

    max_pixels: int = 178_000_000
    max_bytes: int = 512 << 20
    truncated: bool = False
    """Whether a picture that is cut off is taken as far as it goes; otherwise it is refused."""

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The settings' limits."""
        return cls(
            settings.max_megapixels * 1_000_000, settings.max_megabytes << 20, settings.truncated
        )


@lru_cache(maxsize=32)
def _formats(kind: str | None) -> tuple[str, ...]:
    """Pillow's formats that are tried for what begins like that; their plugins are loaded."""
    formats: tuple[str, ...] = PILLOW_FORMATS
    for name in PLUGINS.get(kind or "", ()):
        with contextlib.suppress(ImportError):
            if name == "HEIF":
                import pillow_heif

                threads = AvifImagePlugin.DEFAULT_MAX_THREADS or 4
                pillow_heif.register_heif_opener(decode_threads=threads)
            elif name == "JXL":
                importlib.import_module("pillow_jxl")
            else:
                importlib.import_module(f"PIL.{_MODULES.get(name, name.capitalize())}ImagePlugin")
            formats = (*formats, name)
    return formats


_MODULES = {"JPEG2000": "Jpeg2K"}


def without_threads() -> None:
    """Have codecs use no threads of their own, in a process beside which others decode."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def codecs() -> str:
    """Which decoders there are, as one string: it changes when a retry may turn out otherwise."""
    import PIL

    extras = {"heif": "pillow_heif", "jxl": "pillow_jxl", "raw": "rawpy", "more": "tifffile"}
    found = [f"+{name}" for name, module in extras.items() if importlib.util.find_spec(module)]
    return " ".join(("pillow", PIL.__version__, f"rules {CONVERSION}", *found))


_T = TypeVar("_T")


def read_picture(
    data: bytes,
    limits: Limits,
    sized: Callable[[int, int], None] | None,
    use: Callable[[Image.Image], _T],
) -> _T:
    """What `use` makes of the picture, which is opened but not loaded: strictly, or by the first
    other attempt that succeeds."""
    if not data:
        raise EmptyPictureError("is empty (0 bytes)")
    refusal: PictureError | None = None

    def require(size: tuple[int, int]) -> None:
        if size[0] * size[1] > limits.max_pixels:
            raise TooLargePictureError(_too_many_pixels(size, limits))
        if sized is not None:
            sized(*size)

    for attempt in ATTEMPTS:
        try:
            with typed_failures(data, limits):
                found = attempt(data, require, limits.truncated)
                if found is None:
                    continue
                with _opened(found, limits) as image:
                    if found is not data and (inside := _outer_format(data)):
                        image.format = inside
                    # Headers first: `size` is known before any pixel is.
                    require(image.size)
                    return use(image)
        except Certain as certain:
            raise certain.error from None
        except (DamagedPictureError, NotAPictureError) as error:
            refusal = refusal or error
    assert refusal is not None  # the first attempt is of every file
    raise refusal


def _outer_format(data: bytes) -> str | None:
    """Of a file with another picture's file inside, its own."""
    kind = kind_of(data)
    if kind in ("ICO", "CUR"):
        return kind
    return "RAW" if is_raw(data) else None


@contextlib.contextmanager
def _opened(found: bytes | Image.Image, limits: Limits) -> Iterator[Image.Image]:
    """The first frame of a file, not loaded yet."""
    if isinstance(found, Image.Image):
        yield found
        return
    # Pillow refuses twice its own limit whatever ours is; ours may have been raised on purpose.
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, limits.max_pixels // 2 + 1)
    kind = kind_of(found)
    # The plugin of JPEG XL decodes before it tells how much.
    if kind == "JPEG XL":
        size = jxl_size(found)
        if size is None:
            raise DamagedPictureError("is a JPEG XL that is damaged or cut off (no size)")
        if size[0] * size[1] > limits.max_pixels:
            raise TooLargePictureError(_too_many_pixels(size, limits))
    with Image.open(io.BytesIO(found), formats=_formats(kind)) as image:
        yield image


@contextlib.contextmanager
def typed_failures(data: bytes, limits: Limits) -> Iterator[None]:
    """Whatever a decoder raises, as one of the `PictureError`s."""
    try:
        yield
    except (PictureError, Certain):
        raise
    except UnidentifiedImageError:
        raise _unidentified(data, limits) from None
    except Image.DecompressionBombError:
        raise TooLargePictureError(
            f"has more than the limit of {_megapixels(limits)} (--max-megapixels)"
        ) from None
    except MemoryError:
        raise TooLargePictureError("needs more memory than there is") from None
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error, …
        what = _first_line(error)
        if "truncated" in what.lower() and kind_of(data) in FILLED_UP:
            raise DamagedPictureError(f"is cut off ({what}); {HINT}") from None
        raise DamagedPictureError(f"is damaged or cut off ({what})") from None


def _unidentified(data: bytes, limits: Limits) -> PictureError:
    """Why no plugin knows what that is."""
    kind = kind_of(data)
    extra = _EXTRAS.get(kind or "")
    if extra is not None and len(_formats(kind)) == len(PILLOW_FORMATS):
        return MissingCodecError(f"{kind} needs an extra: pip install 'tll-index[{extra}]'")
    if kind in ("AVIF", "HEIC"):
        size = claimed_pixels(data)
        if size is not None and size[0] * size[1] > limits.max_pixels:
            return TooLargePictureError(_too_many_pixels(size, limits))
    if kind is None or kind == "TGA":
        return NotAPictureError("is not a picture of a format known here")
    if kind in _NOT_READ:
        return NotAPictureError(f"is not a picture of a format known here ({kind})")
    return NotAPictureError(f"is damaged, or a kind of {kind} that is not read here")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _too_many_pixels(size: tuple[int, int], limits: Limits) -> str:
    width, height = size
    return (
        f"has {width} x {height} pixels, more than the limit of "
        f"{_megapixels(limits)} (--max-megapixels)"
    )


def _megapixels(limits: Limits) -> str:
    return f"{limits.max_pixels / 1e6:.0f} megapixels"

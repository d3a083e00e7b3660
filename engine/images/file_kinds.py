"""What a file's ending says: a kind of picture that is opened here, one that can't be, or none.

`decode.SUFFIXES` are the endings that are opened. `PICTURE_KINDS` has those of pictures that other
programs
make and that this one may not read: they are counted, so that nobody misses them in silence. Who
teaches `decode` a kind adds its endings to `SUFFIXES`, and they are no longer among `unread`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .decode import SUFFIXES

_RAW = (
    ".3fr .ari .arw .bay .cr2 .cr3 .crw .dcr .dcs .dng .eip .erf .fff .gpr .iiq .k25 .kdc "
    ".mdc .mef .mos .mrw .nef .nrw .orf .ori .pef .ptx .pxn .r3d .raf .raw .rw2 .rwl .rwz .sr2 "
    ".srf .srw .x3f"
)

_ENDINGS = {
    "raw data of a camera": _RAW,
    "JPEG XL": ".jxl",
    "JPEG 2000": ".jp2 .j2k .j2c .jpc .jpf .jpx .jpm .jph",
    "JPEG XR": ".jxr .wdp .hdp",
    "a layered picture of an editor": (
        ".psd .psb .pdd .xcf .kra .ora .afphoto .pdn .procreate .sketch"
    ),
    "a drawing": ".svg .svgz .eps .ai .cdr .wmf .emf .afdesign",
    "high dynamic range": ".exr .hdr .rgbe .xyze .pfm",
    "an icon": ".ico .icns .cur",
    "an old or scientific kind": (
        ".ppm .pgm .pbm .pnm .pam .tga .icb .vda .vst .pcx .dcx .sgi .rgb .rgba .bw .ras .xbm "
        ".xpm .qoi .flif .bpg .jbig .jbig2 .jb2 .jls .dds .ktx .fits .fit .fts .dcm .dicom .dpx "
        ".pict .pct .iff .lbm .djvu .djv .heics .heifs .avci .avcs .mng .jng .wbmp .jpg2 "
        ".tiff64 .btf .tf8"
    ),
}

PICTURE_KINDS: Mapping[bytes, str] = {
    os.fsencode(ending): kind for kind, endings in _ENDINGS.items() for ending in endings.split()
}
"""Lower-case endings of pictures -> what they are, in words; whether they are read here or not."""


def unread(name: bytes) -> str | None:
    """What the file of that name is, if it is called as a picture that can't be read here."""
    ending = ending_of(name)
    return None if ending in SUFFIXES else PICTURE_KINDS.get(ending)


def ending_of(name: bytes) -> bytes:
    """The ending of a file's name, in lower case, with its dot; empty where there is none."""
    return os.path.splitext(name)[1].lower()

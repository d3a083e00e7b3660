"""What 10^6, 10^8 and 10^10 pictures take: worked out from what was measured, each step shown.

Nothing here was run at these sizes. The figures are products of what one machine did; what isn't
measured (links of an HNSW graph, prices) says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..harness import markdown

COUNTS = (10**6, 10**8, 10**10)

_LINKS = 2 * 32 * 4
"""Bytes a vector that HNSW with M = 32 takes beside it, by its definition: 2 M links of 4 bytes in
the lowest layer (those above add about one part in 32)."""


@dataclass(frozen=True)
class Measured:
    """What was measured, on one machine."""

    a_core: float
    """Pictures a second that one core reads, decodes and embeds."""
    folder: float
    """Pictures a second that the catalog in a folder takes from one writer."""
    milvus: float
    """The same of a Milvus Lite through its server."""
    folder_bytes: float
    """Bytes a picture on disk, in a folder: catalog and index."""
    milvus_bytes: float
    """The same in a Milvus Lite."""
    dimension: int = 128
    price: float = 0.04
    """Of a core for an hour, in any currency: an assumption, put in yours."""


@dataclass(frozen=True)
class Projection:
    """Of one number of pictures."""

    count: int
    core_hours: float
    price: float
    vectors: float
    """GB: count x dimension x 4 bytes."""
    graph: float
    """GB of memory for all query nodes: vectors and HNSW's links."""
    quantised: float
    """GB of memory with IVF_SQ8: a byte a value, and 8 bytes for its id."""
    folder: float
    """GB on disk, in a folder."""
    milvus: float
    """GB in Milvus's storage, one copy."""
    writer_hours: float
    """That one writer needs to commit them to a Milvus."""


def projected(measured: Measured, count: int) -> Projection:
    """The products."""
    hours = count / measured.a_core / 3600
    vector = 4 * measured.dimension
    return Projection(
        count,
        hours,
        hours * measured.price,
        count * vector / 1e9,
        count * (vector + _LINKS) / 1e9,
        count * (measured.dimension + 8) / 1e9,
        count * measured.folder_bytes / 1e9,
        count * measured.milvus_bytes / 1e9,
        count / measured.milvus / 3600,
    )


def useful_cores(measured: Measured) -> dict[str, float]:
    """So many cores embed as fast as one writer commits: more are of no use to one build."""
    return {
        "folder": measured.folder / measured.a_core,
        "milvus": measured.milvus / measured.a_core,
    }


def report(measured: Measured) -> Iterator[str]:
    """Markdown: what was measured, the arithmetic, the table."""
    m, vector = measured, 4 * measured.dimension
    cores = useful_cores(measured)
    yield f"Measured: {m.a_core:.1f} pictures a second and core; one writer commits {m.folder:,.0f}"
    yield f"a second to a folder and {m.milvus:,.0f} to the server of a Milvus Lite; these take"
    yield f"{m.folder_bytes:,.0f} and {m.milvus_bytes:,.0f} bytes a picture on disk."
    yield ""
    yield f"- core hours = pictures / {m.a_core:.1f} / 3,600; cost: {m.price} an hour, a guess"
    yield f"- vectors = pictures x {m.dimension} x 4 = {vector} bytes each"
    yield f"- memory, HNSW = pictures x ({vector} + {_LINKS} of links), by definition, unmeasured"
    yield f"- memory, IVF_SQ8 = pictures x ({m.dimension} + 8), by definition, unmeasured"
    yield f"- disk = pictures x {m.folder_bytes:,.0f} (folder), x {m.milvus_bytes:,.0f} (Milvus)"
    yield f"- one writer's hours = pictures / {m.milvus:,.0f} / 3,600"
    yield (
        f"- cores that one writer keeps up with: {m.folder:,.0f} / {m.a_core:.1f} = "
        f"{cores['folder']:,.0f} (folder), {m.milvus:,.0f} / {m.a_core:.1f} = "
        f"{cores['milvus']:,.0f} (Milvus)"
    )
    yield ""
    header = (
        *("pictures", "core hours", "cost", "vectors", "memory, HNSW", "memory, IVF_SQ8"),
        *("disk, folder", "disk, Milvus", "one writer"),
    )
    rows = [_cells(projected(measured, count)) for count in COUNTS]
    yield from markdown(header, rows, left=())


def _cells(p: Projection) -> list[str]:
    gigabytes = p.vectors, p.graph, p.quantised, p.folder, p.milvus
    sizes = map(_size, gigabytes)
    hours = f"{p.writer_hours:,.1f} h"
    return [f"{p.count:,}", f"{p.core_hours:,.0f}", f"{p.price:,.2f}", *sizes, hours]


def _size(gigabytes: float) -> str:
    if gigabytes >= 1000:
        return f"{gigabytes / 1000:,.1f} TB"
    return f"{gigabytes:,.1f} GB"

"""Groups of files that are the same picture, as text and as rows; how well known ones are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..core.names import near, shown
from ..core.wording import counted
from .render import size

if TYPE_CHECKING:
    from ..indexer.analysis.duplicates.groups import Copy, Group
    from ..indexer.analysis.duplicates.known_groups import Evaluation


def table(found: Sequence[Group]) -> Iterator[str]:
    """Groups of the same picture, a file a line, the best first; below each file its other paths,
    below all what is uncertain."""
    for group in found:
        lines = []
        for copy in group.copies:
            lines.append(_file(copy, said(copy, group)))
            lines += [f"{'':>30}{'same file':<9}  {shown(near(path))}" for path in copy.links]
        for copy in group.uncertain:
            lines.append(_file(copy, said(copy, group)))
        yield "\n".join(lines)


def group_rows(found: Iterable[Group]) -> Iterator[dict[str, Any]]:
    """JSON values of each group."""
    for group in found:
        yield {"exact": group.exact, **asdict(group)}


FILE_COLUMNS = (
    *("group", "role", "path", "state", "links", "link", "same_file", "nlink", "freed_bytes"),
    *("sha256", "width", "height", "file_bytes", "likeness", "mirrored", "turned"),
)


def file_rows(found: Iterable[Group]) -> Iterator[dict[str, Any]]:
    """A row for each file of each group: its number, and whether the file is the 'best', a 'copy'
    or 'uncertain', in `FILE_COLUMNS`."""
    for number, group in enumerate(found, start=1):
        for position, copy in enumerate((*group.copies, *group.uncertain)):
            role = "copy" if copy.state == "ok" else "uncertain"
            yield {"group": number, "role": role if position else "best", **asdict(copy)}


def _file(copy: Copy, word: str) -> str:
    more = hard_links_elsewhere(copy)
    return (
        f"{copy.width:>6} x {copy.height:<6} {size(copy.file_bytes):>9}  "
        f"{word:<6}  {shown(near(copy.path))}" + (f"  ({more})" if more else "")
    )


def said(copy: Copy, group: Group) -> str:
    """What a file is to its group, in a word."""
    best = group.copies[0]
    if copy is best:
        return "best"
    if copy.state != "ok":
        return copy.state
    if copy.sha256 == best.sha256:
        return "equal"
    return ", ".join([f"{copy.likeness:.3f}", *lying(copy)])


def lying(copy: Copy) -> Iterator[str]:
    """How a file lies beside the best of its group, where otherwise."""
    if copy.mirrored:
        yield "mirrored"
    if copy.turned:
        yield f"turned {copy.turned}"


def hard_links_elsewhere(copy: Copy) -> str:
    """What keeps the space of a file after it and its `links` are deleted."""
    if copy.state != "ok" or copy.freed_bytes or (copy.nlink or 1) < 2:
        return ""
    return "has hard links elsewhere"


def summary(found: Sequence[Group]) -> str:
    """How much there is twice, in a line."""
    more = [copy for group in found for copy in group.copies[1:]]
    if not found:
        return "no picture is there twice"
    total = size(sum(copy.freed_bytes for copy in more))
    line = (
        f"{counted(len(found), 'group')}; {total} in {counted(len(more), 'file')} besides the best "
        "of each (nothing was deleted)"
    )
    if kept := sum(bool(hard_links_elsewhere(copy)) for copy in more):
        line += (
            f"; {kept:,} of them {'has' if kept == 1 else 'have'} hard links elsewhere, and "
            f"would free nothing"
        )
    return line


def evaluation(found: Evaluation) -> Iterator[str]:
    """How well known groups are found: a line a threshold, then what is missed and false."""
    yield "threshold  precision  recall   right of found   of known"
    for counts in (found.counts, *found.higher):
        yield (
            f"{counts.threshold:>9g}  {counts.precision:>9.3f}  {counts.recall:>6.3f}"
            f"  {counts.right:>6,} of {counts.found:<6,}  {counts.known:>7,}"
        )
    for what, pairs_of_it in (("missed", found.missed), ("false", found.false)):
        for pair in pairs_of_it:
            yield f"{what:<6}  {shown(near(pair[0]))}  {shown(near(pair[1]))}"
    if found.absent:
        yield f"{len(found.absent):,} of {found.known_files:,} known files are not in the store"

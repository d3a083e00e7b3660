"""Which files make one group: confirmed pairs, cut into stars, so that no member is ever lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

RowNumber: TypeAlias = int
Partners: TypeAlias = Mapping[RowNumber, frozenset[RowNumber]]
"""Of each row those that it was confirmed with, in both directions."""


def stars(
    pairs: Iterable[tuple[RowNumber, RowNumber]],
    quality: Sequence[Any],
    likes: Mapping[tuple[RowNumber, RowNumber], float],
) -> Iterator[list[RowNumber]]:
    """Groups in which the first was confirmed with each other member; every row of any pair is in
    exactly one.

    What hangs together through others is not enough for a group: frames of a film are each like
    the next, and the first not like the last. So the best takes its partners, then the best of
    those that are left, and so on. Who is left alone then, since all partners are taken, goes to
    the partner that it is most like: that one becomes the first of its group where all of the
    group were confirmed with it, or leaves the group and makes one of its own.

    Args:
        pairs: each once.
        quality: of each row; the lowest is the best.
        likes: of each pair as it was given.
    """
    partners = _partners(pairs)
    order = sorted(partners, key=quality.__getitem__)
    groups = _greedy(partners, order)
    group_of = {row: group for group in groups for row in group}
    for row in order:
        if row not in group_of:
            host = max(
                sorted(partners[row], key=quality.__getitem__),
                key=lambda other: _like(likes, row, other),
            )
            group_of[row] = _taken_in(row, host, group_of, partners)
    seen: set[int] = set()
    for row in order:
        group = group_of[row]
        if id(group) not in seen:
            seen.add(id(group))
            yield _best_first(group, partners, quality)


def connected(pairs: Iterable[tuple[RowNumber, RowNumber]]) -> list[list[RowNumber]]:
    """What hangs together, if through others: each part ascending, in order of its first row."""
    before: dict[RowNumber, RowNumber] = {}
    """Of each row one that it hangs together with; the first of a part has itself."""

    def first_of(row: RowNumber) -> RowNumber:
        while (step := before.setdefault(row, row)) != row:
            before[row] = before[step]  # half as many steps the next time
            row = step
        return row

    for one, other in pairs:
        first, second = sorted((first_of(one), first_of(other)))
        before[second] = first
    parts: dict[RowNumber, list[RowNumber]] = defaultdict(list)
    for row in sorted(before):
        parts[first_of(row)].append(row)
    return list(parts.values())


def _partners(pairs: Iterable[tuple[RowNumber, RowNumber]]) -> Partners:
    found: dict[RowNumber, set[RowNumber]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
        found[other].add(one)
    return {row: frozenset(others) for row, others in found.items()}


def _greedy(partners: Partners, order: Sequence[RowNumber]) -> list[list[RowNumber]]:
    """The best with all its partners, then the best of the rest; some may be left."""
    left, groups = dict.fromkeys(order), []
    for row in order:
        if row in left:
            members = [other for other in left if other in partners[row]]
            if members:
                groups.append([row, *members])
                for one in groups[-1]:
                    del left[one]
    return groups


def _taken_in(
    row: RowNumber, host: RowNumber, group_of: dict[RowNumber, list[RowNumber]], partners: Partners
) -> list[RowNumber]:
    """The group of `host`, with it as the first and `row` as a new member."""
    group = group_of[host]
    if all(one == host or one in partners[host] for one in group):
        group.remove(host)
        group.insert(0, host)
    else:  # a member of a star of three or more, which does without it
        group.remove(host)
        group = group_of[host] = [host]
    group.append(row)
    return group


def _best_first(
    group: list[RowNumber], partners: Partners, quality: Sequence[Any]
) -> list[RowNumber]:
    """The first is the best of those that all the others were confirmed with."""
    ranked = sorted(group, key=quality.__getitem__)
    centres = (row for row in ranked if all(one == row or one in partners[row] for one in ranked))
    first = next(centres)
    return [first, *(row for row in ranked if row != first)]


def _like(
    likes: Mapping[tuple[RowNumber, RowNumber], float], one: RowNumber, other: RowNumber
) -> float:
    return likes[one, other] if (one, other) in likes else likes[other, one]

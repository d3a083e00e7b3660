"""Groups of confirmed pairs: nobody is lost, nobody is beside somebody else's copy only."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tll_index.indexer.analysis.duplicates.families import connected, stars

Pairs = dict[tuple[int, int], float]


@st.composite
def confirmed(draw: st.DrawFn) -> Pairs:
    """Pairs among up to a dozen rows, each with how alike its two are."""
    count = draw(st.integers(2, 12))
    pairs = draw(st.sets(st.sampled_from(list(combinations(range(count), 2))), min_size=1))
    likes = st.floats(0.9, 1)
    return {pair: draw(likes) for pair in sorted(pairs)}


def grouped(likes: Pairs, quality: list[int] | None = None) -> list[list[int]]:
    return list(stars(likes, quality or list(range(100)), likes))


@given(confirmed(), st.permutations(range(12)))
def test_every_confirmed_picture_is_in_one_group_with_a_partner(
    likes: Pairs, quality: list[int]
) -> None:
    groups = grouped(likes, quality)
    members = [row for group in groups for row in group]
    assert sorted(members) == sorted({row for pair in likes for row in pair})
    for first, *others in groups:
        assert others
        for other in others:
            assert (first, other) in likes or (other, first) in likes


@given(confirmed(), st.permutations(range(12)))
def test_the_first_is_the_best_that_all_others_are_copies_of(
    likes: Pairs, quality: list[int]
) -> None:
    for group in grouped(likes, quality):
        for row in group:
            hub = all(one == row or {(one, row), (row, one)} & likes.keys() for one in group)
            assert not hub or quality[group[0]] <= quality[row]


@given(confirmed(), st.permutations(range(12)))
def test_where_all_are_alike_they_stay_together(likes: Pairs, quality: list[int]) -> None:
    rows = sorted({row for pair in likes for row in pair})
    whole = dict.fromkeys(combinations(rows, 2), 0.95)
    assert grouped(whole, quality) == [sorted(rows, key=quality.__getitem__)]


def test_a_third_stronger_partner_takes_nobody_away() -> None:
    """The original with a frame of 1% and with one of 12%, which are no copies of each other."""
    bars, original, border = 0, 1, 2
    assert grouped({(original, border): 0.95}) == [[original, border]]
    assert grouped({(bars, original): 0.97, (original, border): 0.95}) == [[original, bars, border]]


def test_frames_of_a_film_are_cut_into_short_groups() -> None:
    groups = grouped({(frame, frame + 1): 0.95 for frame in range(50)})
    assert {len(group) for group in groups} <= {2, 3}


def test_a_member_leaves_a_star_for_who_has_nobody_else() -> None:
    likes = {(0, 1): 0.95, (0, 2): 0.95, (2, 3): 0.99, (2, 4): 0.93}
    assert grouped(likes) == [[0, 1], [2, 3, 4]]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=40))
def test_what_hangs_together(pairs: list[tuple[int, int]]) -> None:
    """As SciPy has it, and in order."""
    rows, ends = np.unique(np.array(pairs, int).reshape(-1, 2), return_inverse=True)
    ones, others = ends.reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (ones, others)), shape=(len(rows), len(rows)))
    count, labels = connected_components(graph, directed=False)
    parts = [rows[labels == label].tolist() for label in range(count if pairs else 0)]
    assert connected(pairs) == sorted(parts)


def test_a_long_chain_hangs_together() -> None:
    chain = [(row, row + 1) for row in range(20_000)]
    assert connected(reversed(chain)) == [list(range(20_001))]

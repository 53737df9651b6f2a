"""Splits of whole titles by shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.errors import MediaFMError
from mediafm_core.training_sets.splits import check_shares, parse_shares, split_titles

HALVES = {"train": 0.5, "test": 0.5}


@given(
    st.sets(st.text(min_size=1, max_size=5), min_size=4, max_size=40),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_every_title_has_one_split_and_shares_are_met(
    titles: set[str], weights: list[int], seed: int
) -> None:
    shares = {str(place): weight / sum(weights) for place, weight in enumerate(weights)}
    found = split_titles(sorted(titles), shares, seed)
    assert found.keys() == titles
    assert found == split_titles(sorted(titles, reverse=True), shares, seed)
    counts = {name: list(found.values()).count(name) for name in shares}
    assert min(counts.values()) >= 1
    if min(shares.values()) * len(titles) >= 1:
        for name, share in shares.items():
            assert abs(counts[name] - share * len(titles)) <= 1 + 1e-9


def test_another_seed_draws_other_titles() -> None:
    titles = [f"title-{number}" for number in range(100)]
    one, other = (split_titles(titles, HALVES, seed) for seed in (0, 1))
    assert 25 < sum(one[title] != other[title] for title in titles) < 75


def test_a_new_title_moves_one_other_at_most() -> None:
    titles = [f"title-{number}" for number in range(50)]
    before, after = split_titles(titles, HALVES, 0), split_titles([*titles, "new"], HALVES, 0)
    assert sum(before[title] != after[title] for title in titles) <= 1


def test_fewer_titles_than_splits() -> None:
    with pytest.raises(MediaFMError, match="1 labelled title cannot be kept whole in 2 splits"):
        split_titles(["a"], HALVES, 0)


def test_parsed_shares() -> None:
    assert parse_shares("train=0.8, test=.2") == {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize(
    "text", ["", "train", "train=", "=1", "a=0.5,a=0.5", "a=nan,b=1", "a=0.5,b=0.4", "a=1.5,b=-0.5"]
)
def test_invalid_shares(text: str) -> None:
    with pytest.raises(MediaFMError, match="Splits "):
        parse_shares(text)


def test_shares_of_the_library_are_checked_too() -> None:
    for shares in ({}, {"": 1.0}, {"a": 0.0, "b": 1.0}):
        with pytest.raises(MediaFMError, match="every split has a name and a share above 0"):
            check_shares(shares)

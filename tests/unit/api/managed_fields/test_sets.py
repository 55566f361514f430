"""Sets of fields against sets of paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.managed_fields import sets
from wellhead.api.managed_fields.elements import normal, shown

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
PATHS = st.sets(st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple), max_size=8)


@given(PATHS)
def test_a_tree_holds_its_paths(paths: set[sets.Path]) -> None:
    assert set(sets.paths(sets.tree(paths))) == paths


@given(PATHS, PATHS)
def test_the_algebra_is_that_of_sets(one: set[sets.Path], other: set[sets.Path]) -> None:
    left, right = sets.tree(one), sets.tree(other)
    assert set(sets.paths(sets.union(left, right))) == one | other
    assert set(sets.paths(sets.difference(left, right))) == one - other
    assert set(sets.paths(sets.intersection(left, right))) == one & other
    assert set(sets.paths(sets.without(left, right))) == {
        path for path in one if not any(path[: len(gone)] == gone for gone in other)
    }
    assert all(sets.has(left, path) == (path in one) for path in one | other)


@given(PATHS, PATHS)
def test_the_same_set_is_the_same_tree(one: set[sets.Path], other: set[sets.Path]) -> None:
    left, right = sets.tree(one), sets.tree(other)
    assert sets.union(left, right) == sets.union(right, left) == sets.tree(one | other)
    assert sets.difference(left, right) == sets.tree(one - other)
    assert sets.intersection(left, right) == sets.tree(one & other)
    assert sets.read(left) == left


def test_others_may_write_keys_in_another_order() -> None:
    assert normal('k:{"protocol":"TCP", "port": 80}') == 'k:{"port":80,"protocol":"TCP"}'
    assert sets.read({'k:{"b":1,"a":2}': {".": {}}}) == {'k:{"a":2,"b":1}': {}}


@pytest.mark.parametrize("element", ["spec", "k:[]", "k:{", "i:x", ""])
def test_what_is_no_path_element_is_refused(element: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # several kinds of it
        normal(element)


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ("f:spec", ".spec"),
        ('k:{"port":80,"protocol":"TCP"}', '[port=80,protocol="TCP"]'),
        ('v:"a"', '[="a"]'),
        ("i:3", "[3]"),
    ],
)
def test_elements_are_shown_as_upstream_does(element: str, text: str) -> None:
    assert shown(element) == text

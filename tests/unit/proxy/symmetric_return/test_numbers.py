"""Peers' numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wellhead.proxy.symmetric_return.numbers import Numbers


def test_numbers_are_kept() -> None:
    numbers = Numbers(10, {"a": 3})
    assert [numbers.of(each) for each in "bab"] == [4, 3, 4]


def test_number_that_was_given_back_is_the_last_to_be_given_again() -> None:
    numbers = Numbers(4, {})
    assert [numbers.of(each) for each in "abc"] == [1, 2, 3]
    assert numbers.keep_only("bc") == {1}
    assert [numbers.of(each) for each in "dea"] == [4, 1, None]


@given(st.lists(st.one_of(st.text("abcdef", max_size=1), st.sets(st.sampled_from("abcdef")))))
def test_nobody_shares_a_number(steps: list[str | set[str]]) -> None:
    numbers, held = Numbers(5, {}), dict[str, int]()
    for step in steps:
        if isinstance(step, set):
            gone = numbers.keep_only(step)
            assert gone == {number for name, number in held.items() if name not in step}
            held = {name: number for name, number in held.items() if name in step}
        elif (number := numbers.of(step)) is not None:
            assert held.setdefault(step, number) == number
    assert len(set(held.values())) == len(held)
    assert set(held.values()) <= set(range(1, 6))


def test_numbers_of_an_earlier_process_count_if_there_is_room_for_them() -> None:
    numbers = Numbers(5, {"a": 5, "b": 6})
    assert numbers.of("b") == 1

"""Indexes and slots of endpoints: a change moves as little as can be."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.numbers import Numbers, OutOfNumbers, assign_slots, order
from wellhead.services.endpointslice import EndpointAddress

addresses = st.integers(1, 12).map(lambda last: EndpointAddress(ip_address(f"10.244.0.{last}").packed, 8080))
endpoints = st.sets(addresses).map(lambda found: tuple(sorted(found)))
histories = st.lists(endpoints, min_size=1, max_size=8)


@given(histories)
def test_indexes_hold_exactly_what_is_wanted_and_few_of_them_change(
    history: list[tuple[EndpointAddress, ...]],
) -> None:
    now: tuple[EndpointAddress, ...] = ()
    for wanted in history:
        before, now = now, order(now, wanted)
        assert sorted(now) == list(wanted)
        gone, new = set(before) - set(wanted), set(wanted) - set(before)
        changed = sum(1 for a, b in zip(before, now, strict=False) if a != b) + abs(len(before) - len(now))
        assert changed <= 2 * len(gone) + len(new)


@given(histories)
def test_a_slot_stays_with_its_endpoint(history: list[tuple[EndpointAddress, ...]]) -> None:
    slots: dict[EndpointAddress, int] = {}
    for wanted in history:
        before, slots = slots, dict(assign_slots(slots, dict.fromkeys(wanted)))
        assert set(slots) == set(wanted)
        assert len(set(slots.values())) == len(slots)
        assert all(1 <= slot <= layout.MAX_ENDPOINTS for slot in slots.values())
        assert all(before[each] == slots[each] for each in wanted if each in before)


def test_a_released_number_is_not_given_again_soon() -> None:
    numbers = Numbers()
    first = numbers.take()
    numbers.release(first)
    assert numbers.take() != first


def test_a_number_that_a_table_holds_is_taken_again_but_once() -> None:
    numbers = Numbers()
    assert numbers.take(4711) == 4711
    assert numbers.take(4711) == 4712
    assert numbers.take(0) >= layout.FIRST_NUMBER, "below that it could be an application's priority"


def test_numbers_go_round_and_run_out() -> None:
    numbers = Numbers()
    assert numbers.take(layout.MAX_NUMBER) == layout.MAX_NUMBER
    assert numbers.take() == layout.FIRST_NUMBER
    for _ in range(layout.MAX_NUMBER - layout.FIRST_NUMBER - 1):
        numbers.take()
    with pytest.raises(OutOfNumbers, match="131064 Service ports"):
        numbers.take()


def test_timeouts_have_codes_of_their_own() -> None:
    numbers = Numbers()
    assert [numbers.timeout_code(each) for each in (10800, 60, 10800)] == [0, 1, 0]
    for seconds in range(1, layout.MAX_TIMEOUTS + 1):
        if seconds != 60 and seconds != layout.MAX_TIMEOUTS:
            numbers.timeout_code(seconds)
    with pytest.raises(OutOfNumbers, match="different affinity timeouts"):
        numbers.timeout_code(86400)


def test_a_number_that_was_passed_over_goes_to_its_owner_only() -> None:
    numbers = Numbers()
    owned = layout.FIRST_NUMBER + 5
    numbers.pass_over(owned)
    assert numbers.take() > owned  # a newcomer that comes first
    assert numbers.take(owned) == owned

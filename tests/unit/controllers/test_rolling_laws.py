"""Laws of the rolling update: surge and unavailability stay within bounds, whatever pods do; and it ends."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from wellhead.controllers.deployment.rolling import Bounds, Size, grow_new, rescale, shrink_old
from wellhead.controllers.shares import resolve


@st.composite
def limits(draw: st.DrawFn) -> Bounds:
    desired = draw(st.integers(0, 12))
    surge = draw(st.integers(0, 4))
    unavailable = draw(st.integers(0 if surge else 1, 4))
    return Bounds(desired, surge, min(unavailable, desired) if desired else 0)


@st.composite
def size(draw: st.DrawFn, name: str) -> Size:
    replicas = draw(st.integers(0, 12))
    # The status may lag behind the spec, and count pods that are on their way out.
    return Size(name, name, replicas, draw(st.integers(0, 15)))


@given(limits(), size("z"), st.lists(st.sampled_from("abc"), unique=True), st.data())
def test_growing_never_exceeds_the_surge(
    bounds: Bounds, new: Size, names: list[str], data: st.DataObject
) -> None:
    old = [data.draw(size(name)) for name in names]
    before = new.replicas + sum(each.replicas for each in old)
    grown = grow_new(new, old, bounds)
    after = grown.replicas + sum(each.replicas for each in old)
    assert grown.replicas <= max(bounds.desired, 0)
    assert after <= max(before, bounds.desired + bounds.max_surge)


@given(limits(), size("z"), st.lists(st.sampled_from("abc"), unique=True), st.data())
def test_shrinking_never_takes_available_pods_below_the_least(
    bounds: Bounds, new: Size, names: list[str], data: st.DataObject
) -> None:
    old = [data.draw(size(name)) for name in names]
    before = new.staying + sum(each.staying for each in old)
    shrunk = shrink_old(new, old, bounds)
    after = new.staying + sum(each.staying for each in shrunk)
    assert after >= min(before, bounds.least_available)
    assert all(each.replicas >= 0 for each in shrunk)
    assert sum(each.replicas for each in shrunk) <= sum(each.replicas for each in old)


@settings(max_examples=examples(60))
@given(limits(), st.integers(0, 12), st.data())
def test_a_rollout_with_pods_that_become_ready_at_random_keeps_its_bounds_and_ends(
    bounds: Bounds, start: int, data: st.DataObject
) -> None:
    old, new = Size("a", "a", start, start), Size("z", "z", 0, 0)
    ceiling = max(start, bounds.desired + bounds.max_surge)
    floor = min(start, bounds.least_available)
    for _ in range(300):
        grown = grow_new(new, [old], bounds)
        if grown != new:
            new = grown
        else:
            [old] = shrink_old(new, [old], bounds)
        assert old.replicas + new.replicas <= ceiling
        assert old.staying + new.staying >= floor
        # Now and then the ReplicaSets' controller catches up, and a pod becomes available.
        if data.draw(st.booleans()):
            old = replace(old, available=min(old.available, old.replicas))
        if new.available < new.replicas and data.draw(st.booleans()):
            new = replace(new, available=new.available + 1)
        if (old.replicas, new.replicas, new.available) == (0, bounds.desired, bounds.desired):
            return
    # Bad luck with the coin: from here on everything becomes available at once.
    for _ in range(60):
        new = replace(new, available=new.replicas)
        old = replace(old, available=min(old.available, old.replicas))
        new = grow_new(new, [old], bounds)
        [old] = shrink_old(new, [old], bounds)
    assert (old.replicas, new.replicas) == (0, bounds.desired)


@given(limits(), st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(1, 20))
def test_resizing_in_the_middle_of_a_rollout_shares_out_exactly_what_there_is(
    bounds: Bounds, replicas: list[int], most: int
) -> None:
    sizes = [Size(name, name, count, 0, None, most) for name, count in zip("abcd", replicas, strict=False)]
    after = rescale(sizes[0], sizes[1:], bounds, rolling=True)
    assert sum(each.replicas for each in after) == (bounds.most if bounds.desired else 0)
    assert all(each.replicas >= 0 for each in after)


def test_percentages_round_up_for_surge_and_down_for_unavailability() -> None:
    assert resolve("25%", 3, up=True) == 1
    assert resolve("25%", 3, up=False) == 0
    assert resolve(2, 3, up=False) == 2
    assert resolve("100%", 7, up=True) == resolve("100%", 7, up=False) == 7


def test_sizes_grow_in_proportion() -> None:
    # 10 desired, 3 surge; a rollout stands at 5 + 8 when the Deployment is scaled to 15 (upstream's example).
    sizes = [Size("new", "2", 5, 0, 10, 13), Size("old", "1", 8, 8, 10, 13)]
    after = {
        each.name: each.replicas for each in rescale(sizes[0], sizes[1:], Bounds(15, 3, 2), rolling=True)
    }
    assert after == {"new": 7, "old": 11}

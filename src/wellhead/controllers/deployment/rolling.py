"""How many replicas each ReplicaSet of a Deployment gets next: pure arithmetic.

Source: upstream's pkg/controller/deployment (rolling.go, sync.go, util). Two promises hold for every result:
never more replicas than desired + maxSurge (unless there were more before), and never fewer available pods
than desired - maxUnavailable because of us. Upstream counts a ReplicaSet's availability from its status
alone, which for a moment after scaling down still counts pods that are going; here it is at most its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wellhead.api.meta import Obj
from wellhead.controllers.shares import resolve


@dataclass(frozen=True)
class Bounds:
    """What a rollout may do: all in pods."""

    desired: int
    max_surge: int
    max_unavailable: int

    @property
    def most(self) -> int:
        """The most replicas that there may be."""
        return self.desired + self.max_surge if self.desired else 0

    @property
    def least_available(self) -> int:
        return self.desired - self.max_unavailable


@dataclass(frozen=True)
class Size:
    """A ReplicaSet as a rollout sees it. `replicas` is its spec's, `available` its status'."""

    name: str
    created: str
    replicas: int
    available: int
    recorded_desired: int | None = None
    recorded_most: int | None = None

    @property
    def staying(self) -> int:
        """How many of its available pods stay, however many it still has to remove."""
        return min(self.available, self.replicas)


def bounds(deployment: Obj) -> Bounds:
    """From spec.strategy. Both limits zero would never end: one pod may then be unavailable (as upstream)."""
    spec = deployment["spec"]
    desired = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Bounds(desired, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), desired, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(desired, surge, min(unavailable, desired))


def grow_new(new: Size, old: Sequence[Size], limits: Bounds) -> Size:
    """The new ReplicaSet, as large as the surge allows; never larger than desired."""
    if new.replicas >= limits.desired:
        return replace(new, replicas=limits.desired)
    room = limits.desired + limits.max_surge - new.replicas - sum(each.replicas for each in old)
    return replace(new, replicas=new.replicas + max(0, min(room, limits.desired - new.replicas)))


def shrink_old(new: Size, old: Sequence[Size], limits: Bounds) -> list[Size]:
    """The old ReplicaSets, smaller by what isn't needed: unavailable pods first, then the oldest."""
    total = new.replicas + sum(each.replicas for each in old)
    new_unavailable = new.replicas - new.staying
    removable = total - limits.least_available - new_unavailable
    oldest_first = sorted(old, key=_age)
    if removable <= 0:
        return oldest_first
    shrunk = []
    for each in oldest_first:
        cut = min(removable, each.replicas - each.staying)
        removable -= cut
        shrunk.append(replace(each, replicas=each.replicas - cut))
    spare = new.staying + sum(each.staying for each in shrunk) - limits.least_available
    for position, each in enumerate(shrunk):
        cut = max(0, min(spare, each.replicas))
        spare -= cut
        shrunk[position] = replace(each, replicas=each.replicas - cut)
    return shrunk


def rescale(new: Size | None, old: Sequence[Size], limits: Bounds, *, rolling: bool) -> list[Size]:
    """The sizes after a change of the Deployment's own size, outside of or in the middle of a rollout.

    A change during a rollout is shared out in proportion, so that neither version loses its weight.
    """
    everything = [*old, *([new] if new else [])]
    if not everything:
        return []
    active = [each for each in everything if each.replicas > 0]
    if len(active) <= 1:
        only = active[0] if active else (new or max(old, key=_age))
        return [replace(each, replicas=limits.desired) if each is only else each for each in everything]
    if new is not None and _is_saturated(new, limits):
        return [each if each is new else replace(each, replicas=0) for each in everything]
    if not rolling:
        return everything
    sizes = _in_proportion(active, limits)
    return [sizes.get(each.name, each) for each in everything]


def _in_proportion(active: Sequence[Size], limits: Bounds) -> dict[str, Size]:
    to_add = limits.most - sum(each.replicas for each in active)
    if to_add == 0:
        return {each.name: each for each in active}
    # Largest first; of equals, the newest grows first and the oldest shrinks first.
    by_age = sorted(active, key=_age, reverse=to_add > 0)
    by_size = sorted(by_age, key=lambda each: each.replicas, reverse=True)
    sizes: dict[str, Size] = {}
    rest = to_add
    for each in by_size:
        share = _fraction(each, limits)
        share = max(0, min(share, rest)) if to_add > 0 else min(0, max(share, rest))
        rest -= share
        sizes[each.name] = replace(each, replicas=each.replicas + share)
    for each in by_size:  # what rounding left over goes to the largest
        size = sizes[each.name]
        share = max(rest, -size.replicas)
        rest -= share
        sizes[each.name] = replace(size, replicas=size.replicas + share)
    return sizes


def _fraction(each: Size, limits: Bounds) -> int:
    if limits.desired == 0:
        return -each.replicas
    before = each.recorded_most or limits.most
    grown = math.floor(each.replicas * (limits.desired + limits.max_surge) / before + 0.5)
    return grown - each.replicas


def _is_saturated(new: Size, limits: Bounds) -> bool:
    return (
        new.recorded_desired == limits.desired
        and new.replicas == limits.desired
        and new.available == limits.desired
    )


def _age(each: Size) -> tuple[str, str]:
    return each.created, each.name

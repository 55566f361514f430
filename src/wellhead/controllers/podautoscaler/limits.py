"""How far and how fast a number of replicas may change: stabilization windows, policies, minimum, maximum.

Source: normalizeDesiredReplicas… in pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from wellhead.api.meta import Obj

_DOWN_WINDOW = 300
"""Seconds for which the highest recommendation holds, unless the behavior says otherwise."""
_KEPT = timedelta(hours=1)
"""Longer than any window or period may be."""

Timed = tuple[datetime, int]


@dataclass(frozen=True)
class Memory:
    """What was recommended, and how many replicas were added and removed, lately."""

    recommended: tuple[Timed, ...] = ()
    added: tuple[Timed, ...] = ()
    removed: tuple[Timed, ...] = ()

    def scaled(self, before: int, after: int, now: datetime) -> Memory:
        """After a change."""
        cutoff = now - _KEPT
        added, removed = (
            tuple(each for each in kept if each[0] > cutoff) for kept in (self.added, self.removed)
        )
        if after > before:
            return Memory(self.recommended, (*added, (now, after - before)), removed)
        return Memory(self.recommended, added, (*removed, (now, before - after)))


@dataclass(frozen=True)
class Condition:
    """A condition of the autoscaler: its status is "True" or "False"."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Limited:
    """The number of replicas, what is remembered, and the conditions AbleToScale and ScalingLimited."""

    replicas: int
    memory: Memory
    conditions: tuple[Condition, Condition]


def limit(spec: Obj, memory: Memory, current: int, wanted: int, now: datetime) -> Limited:
    """What may be done now to get from `current` to `wanted`."""
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    behavior = spec.get("behavior")
    if behavior is None:
        stable = _highest(memory, wanted, now)
        replicas, reason, why = _by_default(current, stable, least, most)
        steadied = _DOWN_STEADIED
    else:
        up = behavior["scaleUp"].get("stabilizationWindowSeconds", 0)
        down = behavior["scaleDown"].get("stabilizationWindowSeconds", _DOWN_WINDOW)
        stable = _steadied(memory, current, wanted, up, down, now)
        replicas, reason, why = _by_behavior(memory, behavior, current, stable, least, most, now)
        steadied = _UP_STEADIED if wanted >= current else _DOWN_STEADIED
    able = _ABLE if stable == wanted else steadied
    limited = Condition("ScalingLimited", replicas != stable, reason, why)
    cutoff = now - _KEPT
    kept = tuple(each for each in memory.recommended if each[0] > cutoff)
    remembered = Memory((*kept, (now, wanted)), memory.added, memory.removed)
    return Limited(replicas, remembered, (able, limited))


def _steadied(memory: Memory, current: int, wanted: int, up: int, down: int, now: datetime) -> int:
    """Up goes only what was recommended throughout the window of seconds, and down, too."""
    lowest = highest = wanted
    for time, recommended in memory.recommended:
        if time > now - timedelta(seconds=up):
            lowest = min(lowest, recommended)
        if time > now - timedelta(seconds=down):
            highest = max(highest, recommended)
    return min(max(current, lowest), highest)


def _highest(memory: Memory, wanted: int, now: datetime) -> int:
    """Without a behavior, only going down is slowed."""
    cutoff = now - timedelta(seconds=_DOWN_WINDOW)
    return max([wanted, *(count for time, count in memory.recommended if time >= cutoff)])


_ABLE = Condition("AbleToScale", True, "ReadyForNewScale", "recommended size matches current size")
_UP_STEADIED = Condition(
    "AbleToScale",
    True,
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_DOWN_STEADIED = Condition(
    "AbleToScale",
    True,
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FAST = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_TOO_SLOW = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")


def _by_default(current: int, wanted: int, least: int, most: int) -> tuple[int, str, str]:
    fastest = max(2 * current, 4)
    highest, why = (fastest, _TOO_FAST) if most > fastest else (most, _TOO_MANY)
    if wanted < least:
        return least, *_TOO_FEW
    if wanted > highest:
        return highest, *why
    return wanted, *_WITHIN


def _by_behavior(
    memory: Memory, behavior: Obj, current: int, wanted: int, least: int, most: int, now: datetime
) -> tuple[int, str, str]:
    if wanted > current:
        fastest = max(current, _edge(memory, behavior["scaleUp"], current, now, up=True))
        highest, why = (fastest, _TOO_FAST) if most > fastest else (most, _TOO_MANY)
        if wanted > highest:
            return highest, *why
    elif wanted < current:
        fastest = min(current, _edge(memory, behavior["scaleDown"], current, now, up=False))
        lowest, why = (fastest, _TOO_SLOW) if least < fastest else (least, _TOO_FEW)
        if wanted < lowest:
            return lowest, *why
    return wanted, *_WITHIN


def _edge(memory: Memory, rules: Obj, current: int, now: datetime, *, up: bool) -> int:
    """How far the policies let it go."""
    select = rules.get("selectPolicy", "Max")
    if select == "Disabled":
        return current
    proposals = []
    for policy in rules.get("policies") or ():
        cutoff = now - timedelta(seconds=policy["periodSeconds"])
        added, removed = (
            sum(count for time, count in changes if time > cutoff)
            for changes in (memory.added, memory.removed)
        )
        start, value = current - added + removed, policy["value"]
        if policy["type"] == "Pods":
            proposals.append(start + value if up else start - value)
        elif up:
            proposals.append(-(-start * (100 + value) // 100))
        else:
            proposals.append(math.trunc(start * (1 - value / 100)))
    # The greatest change goes furthest in either direction.
    furthest = max if up == (select == "Max") else min
    return furthest(proposals, default=current)

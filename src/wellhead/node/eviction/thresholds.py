"""Eviction thresholds: how they are written, and which are met. Pure.

Source: pkg/kubelet/eviction (helpers.go, types.go) and pkg/kubelet/eviction/api of v1.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellhead.api.duration import Duration
from wellhead.api.quantity import Quantity

MEMORY, PIDS = "memory.available", "pid.available"
NODE_FS, NODE_INODES = "nodefs.available", "nodefs.inodesFree"
IMAGE_FS, IMAGE_INODES = "imagefs.available", "imagefs.inodesFree"

CONDITIONS = {
    MEMORY: "MemoryPressure",
    NODE_FS: "DiskPressure",
    NODE_INODES: "DiskPressure",
    IMAGE_FS: "DiskPressure",
    IMAGE_INODES: "DiskPressure",
    PIDS: "PIDPressure",
}
"""The node's condition while a signal's threshold is met."""

RESOURCES = {
    MEMORY: "memory",
    NODE_FS: "ephemeral-storage",
    NODE_INODES: "inodes",
    IMAGE_FS: "ephemeral-storage",
    IMAGE_INODES: "inodes",
    PIDS: "pids",
}
"""What is short then."""


class ThresholdError(ValueError):
    """Something that is no threshold; the message names the field."""


@dataclass(frozen=True)
class Amount:
    """So much, or so large a part of the whole."""

    quantity: int | None
    part: float = 0.0

    def of(self, capacity: int) -> int:
        return int(capacity * self.part) if self.quantity is None else self.quantity


@dataclass(frozen=True)
class Threshold:
    """Met while there is less than `amount`; for `grace` seconds before anything follows (0: hard).

    Once it was met, `reclaim` more must be there before it is over.
    """

    signal: str
    amount: Amount
    grace: float = 0.0
    reclaim: Amount = Amount(0)

    @property
    def hard(self) -> bool:
        return not self.grace


@dataclass(frozen=True)
class Observation:
    """How much of something there is, of how much."""

    available: int
    capacity: int


Observations = Mapping[str, Observation]
"""By signal. What can't be told is not in there."""


def parse(
    hard: Mapping[str, str], soft: Mapping[str, str], graces: Mapping[str, str], reclaims: Mapping[str, str]
) -> tuple[Threshold, ...]:
    """The thresholds of evictionHard, evictionSoft, …GracePeriod and evictionMinimumReclaim.

    Raises ThresholdError.
    """
    reclaim = {
        _known("evictionMinimumReclaim", each): _amount("evictionMinimumReclaim", each, text)
        for each, text in reclaims.items()
    }
    periods = {_known("evictionSoftGracePeriod", each): _period(each, text) for each, text in graces.items()}
    found = []
    for name, statements in (("evictionHard", hard), ("evictionSoft", soft)):
        for signal, text in statements.items():
            amount = _amount(name, _known(name, signal), text)
            if text.strip() in ("0%", "100%"):
                continue  # upstream's way to switch one off
            grace = 0.0
            if name == "evictionSoft":
                if signal not in periods:
                    raise ThresholdError(f"evictionSoftGracePeriod: there is none for {signal}")
                grace = periods[signal]
            found.append(Threshold(signal, amount, grace, reclaim.get(signal, Amount(0))))
    return tuple(found)


def _known(name: str, signal: str) -> str:
    if signal not in CONDITIONS:
        raise ThresholdError(f"{name}: {signal!r} is no signal of this agent; {', '.join(CONDITIONS)} are")
    return signal


def _amount(name: str, signal: str, text: str) -> Amount:
    text = text.strip()
    if match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text, re.ASCII):
        part = float(match[1]) / 100
        if part > 1:
            raise ThresholdError(f"{name}: {signal}: a percentage must be at most 100")
        return Amount(None, part)
    try:
        quantity = Quantity.parse(text).value
    except ValueError:
        raise ThresholdError(f"{name}: {signal}: {text!r} is neither a quantity nor a percentage") from None
    if quantity < 0 or (not quantity and name != "evictionMinimumReclaim"):
        raise ThresholdError(f"{name}: {signal}: must be positive, not {text}")
    return Amount(quantity)


def _period(signal: str, text: str) -> float:
    try:
        seconds = float(Duration.parse(text).seconds)
    except ValueError as error:
        raise ThresholdError(f"evictionSoftGracePeriod: {signal}: {error}") from None
    if seconds <= 0:
        raise ThresholdError(f"evictionSoftGracePeriod: {signal}: must be positive, not {text}")
    return seconds


def met(
    thresholds: Iterable[Threshold], observed: Observations, *, reclaiming: bool = False
) -> list[Threshold]:
    """Those that are met; with `reclaiming`, also those that have not got back what they shall."""
    found = []
    for each in thresholds:
        seen = observed.get(each.signal)
        if seen is None:
            continue
        wanted = each.amount.of(seen.capacity)
        if reclaiming:
            wanted += each.reclaim.of(seen.capacity)
        if seen.available < wanted:
            found.append(each)
    return found


def held_back(every: Iterable[Threshold], observed: Observations) -> dict[str, int]:
    """Bytes of memory and of the disk that hard thresholds keep free, by resource: pods can't have those."""
    found: dict[str, int] = {}
    for each in every:
        seen = observed.get(each.signal)
        if each.hard and each.signal in (MEMORY, NODE_FS) and seen is not None:
            resource = RESOURCES[each.signal]
            found[resource] = max(found.get(resource, 0), each.amount.of(seen.capacity))
    return found


def first(thresholds: Iterable[Threshold]) -> Threshold:
    """The one to see to first: memory before all else, hard ones before soft ones."""
    return min(thresholds, key=lambda each: (each.signal != MEMORY, not each.hard))

"""The numbers that elements are made with: each Service port's, its endpoints' indexes and their slots.

They depend on history, so that a change moves as little as can be: an endpoint that goes costs its own index
and that of the last, and nobody's slot.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.nftables.layout import FIRST_NUMBER, MAX_ENDPOINTS, MAX_NUMBER, MAX_TIMEOUTS
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.view import PortView, Scope

Endpoints = tuple[EndpointAddress, ...]


class OutOfNumbers(BackendError):
    """There are more Service ports, or affinity timeouts, than numbers for them."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The numbers of one Service port."""

    number: int
    cluster: Endpoints = ()
    """The endpoints of the Cluster scope by index. Where nothing was removed, the view's own tuple."""
    local: Endpoints = ()
    slots: Mapping[EndpointAddress, int] | None = None
    """The endpoints' slots, from 1; None without session affinity."""
    timeout_code: int = 0
    """Which of the affinity timeouts in use the port's is."""

    def endpoints(self, scope: Scope) -> Endpoints:
        return self.cluster if scope is Scope.CLUSTER else self.local


def place(before: Placement, view: PortView, timeout_code: int = 0) -> Placement:
    """The numbers of a port that is now `view`, and had those of `before`."""
    slots = None
    cluster, local = view.cluster[:MAX_ENDPOINTS], view.local[:MAX_ENDPOINTS]
    if view.affinity_seconds is not None:
        slots = assign_slots(before.slots or {}, dict.fromkeys((*cluster, *local)))
        cluster = tuple(each for each in cluster if each in slots)
        local = tuple(each for each in local if each in slots)
    return Placement(
        before.number, order(before.cluster, cluster), order(before.local, local), slots, timeout_code
    )


def order(before: Endpoints, wanted: Endpoints) -> Endpoints:
    """`wanted`, as far as can be at the indexes of `before`: newcomers fill holes, then the last ones do."""
    if not before or before == wanted:
        return wanted
    now = set(wanted)
    known = set(before)
    found: list[EndpointAddress | None] = [each if each in now else None for each in before]
    fresh = [each for each in reversed(wanted) if each not in known]
    holes = [index for index, each in enumerate(found) if each is None]
    while holes and fresh:
        found[holes.pop(0)] = fresh.pop()
    for hole in holes:
        while found and found[-1] is None:
            found.pop()
        if hole < len(found):
            found[hole] = found.pop()
    result = tuple(each for each in found if each is not None) + tuple(reversed(fresh))
    return wanted if result == wanted else result


def assign_slots(
    before: Mapping[EndpointAddress, int], wanted: Mapping[EndpointAddress, None]
) -> Mapping[EndpointAddress, int]:
    """A slot for each endpoint, and the same as before. There are 12,000; endpoints beyond that go unused."""
    kept = {each: slot for each, slot in before.items() if each in wanted}
    if len(kept) == len(wanted):
        return before if len(before) == len(kept) else kept
    taken = set(kept.values())
    free = (slot for slot in range(1, MAX_ENDPOINTS + 1) if slot not in taken)
    for each in wanted:
        if each not in kept:
            slot = next(free, None)
            if slot is None:
                break
            kept[each] = slot
    return kept


class Numbers:
    """Which numbers are taken. One that is released is not given again for as long as there are others.

    Clients of a port that is gone may still be remembered under its number.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._next = FIRST_NUMBER
        self.timeouts: dict[int, int] = {}
        """Codes by affinity timeout, in seconds. They are few, and stay."""

    def timeout_code(self, seconds: int) -> int:
        """The code of an affinity timeout.

        Raises:
            OutOfNumbers: there are too many different ones.
        """
        code = self.timeouts.get(seconds)
        if code is None:
            taken = set(self.timeouts.values())
            code = next((each for each in range(MAX_TIMEOUTS) if each not in taken), None)
            if code is None:
                raise OutOfNumbers(f"more than {MAX_TIMEOUTS} different affinity timeouts")
            self.timeouts[seconds] = code
        return code

    def take(self, wanted: int | None = None) -> int:
        """A number, `wanted` if that is free.

        Raises:
            OutOfNumbers: all 131,064 are taken.
        """
        if wanted is not None and FIRST_NUMBER <= wanted <= MAX_NUMBER and wanted not in self._taken:
            self._taken.add(wanted)
            self.pass_over(wanted)
            return wanted
        if len(self._taken) > MAX_NUMBER - FIRST_NUMBER:
            raise OutOfNumbers(f"{len(self._taken)} Service ports are as many as this mode can tell apart")
        while self._next > MAX_NUMBER or self._next in self._taken:
            self._next = self._next + 1 if self._next < MAX_NUMBER else FIRST_NUMBER
        self._taken.add(self._next)
        self._next += 1
        return self._next - 1

    def pass_over(self, number: int) -> None:
        """Give `number` to whoever wants it, but to nobody else for as long as there are others."""
        self._next = max(self._next, number + 1)

    def release(self, number: int) -> None:
        self._taken.discard(number)

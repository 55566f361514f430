"""Leader election by a Lease."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from typing import Any, cast

import pytest

from tests.patience import pass_time, reached
from wellhead.api.errors import Conflict, NotFound
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import LEASES
from wellhead.client.leases import Elector, LeaseSettings
from wellhead.client.rest import Client

DURATION = 15.0


class Leases:
    """As much of `Client` as electors use. `away` is the API server out of reach."""

    def __init__(self) -> None:
        self.lease: Obj | None = None
        self.away = False
        self._version = 0

    async def get(self, resource: Resource, name: str, namespace: str) -> Obj:
        self._reach()
        if self.lease is None:
            raise NotFound.of(resource, name)
        return copy.deepcopy(self.lease)

    async def create(self, _: Resource, obj: Obj) -> Obj:
        self._reach()
        if self.lease is not None:
            raise Conflict.of(LEASES, "wellhead-cloud")
        return self._put(obj)

    async def update(self, resource: Resource, obj: Obj) -> Obj:
        await asyncio.sleep(0)
        self._reach()
        assert self.lease is not None
        if obj["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict.of(resource, "wellhead-cloud")
        return self._put(obj)

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

    def _put(self, obj: Obj) -> Obj:
        self._version += 1
        self.lease = copy.deepcopy(obj)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return copy.deepcopy(self.lease)

    def _reach(self) -> None:
        if self.away:
            raise ConnectionRefusedError


class Candidate:
    """One process: `leading` while its work runs."""

    def __init__(self, api: Leases, name: str) -> None:
        settings = LeaseSettings(duration=DURATION)
        self.api, self.leading = api, False
        self.elector = Elector(cast(Client, self), settings, name, asyncio.get_running_loop().time)
        self.reachable = True
        self.task = asyncio.ensure_future(self.elector.run(self._work))

    def __getattr__(self, name: str) -> Any:
        if not self.__dict__.get("reachable", True):
            raise ConnectionRefusedError
        return getattr(self.api, name)

    async def _work(self) -> None:
        self.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leading = False

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def test_one_leads_and_another_takes_over_at_once_when_it_stops() -> None:
    api = Leases()
    candidates = [Candidate(api, name) for name in "abc"]
    await reached(lambda: any(each.leading for each in candidates))
    await pass_time(2 * DURATION)
    (leader,) = (each for each in candidates if each.leading)
    assert api.holder == leader.elector.identity
    await leader.stop()
    assert api.holder != leader.elector.identity
    others = [each for each in candidates if each is not leader]
    await reached(lambda: any(each.leading for each in others))
    for each in others:
        await each.stop()
    assert api.lease is not None
    assert api.lease["spec"]["leaseTransitions"] >= 1


async def test_a_leader_that_cannot_renew_stops_before_another_starts() -> None:
    api = Leases()
    first = Candidate(api, "first")
    await reached(lambda: first.leading)
    second = Candidate(api, "second")
    await pass_time(DURATION / 2)
    first.reachable = False
    while not second.leading:
        assert not (first.leading and second.leading)
        await pass_time(0.1)
    assert not first.leading
    assert not first.elector.leads()
    await first.stop()
    await second.stop()


async def test_times_in_the_lease_mean_nothing_only_that_it_changes() -> None:
    # Its clock is an hour fast, or years slow: as long as it renews, it is the leader.
    api = Leases()
    await api.create(
        LEASES,
        {"metadata": {}, "spec": {"holderIdentity": "other", "leaseDurationSeconds": 1, "renewTime": "1970"}},
    )
    candidate = Candidate(api, "candidate")
    for renewal in range(6):
        await pass_time(0.25)
        assert api.lease is not None
        await api.update(LEASES, {**api.lease, "spec": {**api.lease["spec"], "renewTime": str(renewal)}})
        assert not candidate.leading
    await reached(lambda: candidate.leading)
    await candidate.stop()


async def test_a_process_that_slept_knows_at_once_that_it_may_not_lead() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    clock = [0.0]
    elector = Elector(cast(Client, Leases()), LeaseSettings(duration=10), "me", lambda: clock[0])
    task = asyncio.ensure_future(elector.run(work))
    await reached(elector.leads)
    clock[0] += 60
    assert not elector.leads()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_the_leaders_work_raises_ends_the_election_and_frees_the_lease() -> None:
    async def work() -> None:
        raise OSError("no such interface")

    api = Leases()
    elector = Elector(
        cast(Client, api), LeaseSettings(duration=DURATION), "me", asyncio.get_running_loop().time
    )
    with pytest.raises(OSError, match="no such interface"):
        await elector.run(work)
    assert api.holder == ""


def _problems(elector: Elector) -> list[str]:
    now = asyncio.get_running_loop().time()
    return [f"{each.name}: {found}" for each in elector.checks() if (found := each.problem(now))]


async def test_one_that_cannot_reach_the_lease_for_a_while_says_so_until_it_can() -> None:
    api = Leases()
    candidate = Candidate(api, "candidate")
    await reached(lambda: candidate.leading)
    await pass_time(2 * DURATION)
    assert _problems(candidate.elector) == []
    api.away = True
    await pass_time(30)
    [problem] = _problems(candidate.elector)
    assert problem.startswith("leader-election: the lease can't be taken or renewed for ")
    api.away = False
    await reached(lambda: candidate.leading)
    assert _problems(candidate.elector) == []
    await candidate.stop()


async def test_a_leader_whose_work_does_not_end_is_stuck() -> None:
    api = Leases()
    candidate = Candidate(api, "candidate")
    go_on = asyncio.Event()

    async def clings() -> None:
        candidate.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            await go_on.wait()
            candidate.leading = False

    await candidate.stop()
    candidate.task = asyncio.ensure_future(candidate.elector.run(clings))
    await reached(lambda: candidate.leading)
    api.away = True
    await pass_time(DURATION + 61)
    assert any(each.startswith("leader-ended: ") for each in _problems(candidate.elector))
    go_on.set()
    await reached(lambda: not candidate.leading)
    assert not any(each.startswith("leader-ended: ") for each in _problems(candidate.elector))
    await candidate.stop()

"""Flow control at work: who gets a seat at once, who waits, who is turned away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.patience import settled
from wellhead.api.errors import TooManyRequests
from wellhead.api.flowcontrol import bootstrap
from wellhead.api.meta import Obj
from wellhead.api.resources import FLOWSCHEMAS, PRIORITYLEVELS
from wellhead.apiserver.authn import User
from wellhead.apiserver.flowcontrol.control import Flow, FlowControl, Room, Seat
from wellhead.apiserver.flowcontrol.level import Retry
from wellhead.apiserver.info import request_info
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import encode_json
from wellhead.storage.event_log import Event, Item
from wellhead.storage.memory import MemoryStore

PODS = request_info("GET", "/api/v1/namespaces/a/pods/b", {})


def item(obj: Obj) -> Item:
    obj = obj | {"metadata": obj["metadata"] | {"uid": f"uid-{obj['metadata']['name']}"}}
    return Item("", obj["metadata"]["name"], 1, encode_json(obj), {})


def level(name: str, shares: int, *, queuing: Obj | None = None, **fields: Any) -> Obj:
    response: Obj = {"type": "Reject"}
    if queuing is not None:
        queues = {"queues": 1, "handSize": 1, "queueLengthLimit": 2} | queuing
        response = {"type": "Queue", "queuing": queues}
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response, **fields}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def schema(name: str, of: str, user: str, precedence: int = 500) -> Obj:
    rules = [
        {
            "subjects": [{"kind": "User", "user": {"name": user}}],
            "resourceRules": [{field: ["*"] for field in ("verbs", "apiGroups", "resources", "namespaces")}],
        }
    ]
    return {
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": of},
            "matchingPrecedence": precedence,
            "rules": rules,
        },
    }


class Steady(Room):
    """Whatever this process does meanwhile, no turn is long."""

    def took(self, seconds: float) -> None:
        super().took(0.0)


class Server:
    """Flow control over some levels, each for the user of its name, beside the mandatory ones."""

    def __init__(self, *levels: Obj, total: int = 10, longest_wait: float = 1e6) -> None:
        self.cache = WatchCache(MemoryStore(), lambda *_: {}, 1 << 20, 1 << 20)
        for each in levels:
            name = each["metadata"]["name"]
            self.cache[PRIORITYLEVELS.storage_prefix].put(item(each))
            self.cache[FLOWSCHEMAS.storage_prefix].put(item(schema(name, name, name)))
        self.control = FlowControl(self.cache, total, longest_wait, Steady())
        self.control.start()

    def flow(self, user: str, *groups: str) -> Flow:
        return self.control.flow(User(user, groups), PODS)

    def ask(self, user: str, width: int = 1) -> asyncio.Task[Seat]:
        return asyncio.ensure_future(self.control.enter(self.flow(user), width))

    async def seats(self, user: str, count: int) -> list[Seat]:
        return [await self.control.enter(self.flow(user)) for _ in range(count)]


def seats(shares: int) -> int:
    """Of catch-all's five shares and these, what the latter are of ten seats, rounded up."""
    return -(-10 * shares // (5 + shares))


async def test_headers_name_schema_and_level() -> None:
    server = Server(level("a", 5))
    assert list(server.flow("a").headers.values()) == ["uid-a", "uid-a"]
    assert server.flow("a") is server.flow("a")


async def test_the_exempt_never_wait() -> None:
    server = Server(total=1)
    flow = server.flow("root", "system:masters")
    assert flow.level.exempt
    for _ in range(100):
        await server.control.enter(flow)


async def test_who_is_in_no_group_falls_under_the_last_schema() -> None:
    assert Server().flow("somebody").schema == "catch-all"


async def test_without_a_queue_who_finds_no_seat_is_turned_away() -> None:
    server = Server(level("a", 5, borrowingLimitPercent=0))
    await server.seats("a", seats(5))
    with pytest.raises(TooManyRequests) as error:
        await server.control.enter(server.flow("a"))
    assert error.value.retry_after == 1
    assert server.flow("a").statistics.rejected == {"concurrency-limit": 1}


async def test_a_seat_that_is_given_back_is_free_from_the_next_turn_on() -> None:
    server = Server(level("a", 5, borrowingLimitPercent=0))
    taken = await server.seats("a", seats(5))
    for _ in range(2):
        taken[0].leave()  # twice is once
    with pytest.raises(TooManyRequests):
        await server.control.enter(server.flow("a"))
    await settled()
    await server.seats("a", 1)
    with pytest.raises(TooManyRequests):
        await server.control.enter(server.flow("a"))


async def test_those_who_wait_are_let_in_in_their_order_and_the_queue_has_an_end() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0))
    taken = await server.seats("a", seats(5))
    one, two, three = (server.ask("a") for _ in range(3))
    with pytest.raises(TooManyRequests):
        await three
    assert server.flow("a").statistics.rejected == {"queue-full": 1}
    taken[0].leave()
    await one
    assert not two.done()
    (await one).leave()
    await two
    statistics = server.flow("a").statistics
    assert (statistics.waiting, statistics.executing) == (0, seats(5))


async def test_who_comes_late_does_not_overtake() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0))
    taken = await server.seats("a", seats(5))
    first = server.ask("a", width=1)
    await settled()
    taken[0].leave()
    late = server.ask("a")
    await first
    await settled()
    assert not late.done()
    taken[1].leave()
    await late


async def test_nobody_waits_for_ever() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0), longest_wait=0.0)
    taken = await server.seats("a", seats(5))
    with pytest.raises(TooManyRequests):
        await server.control.enter(server.flow("a"))
    assert server.flow("a").statistics.rejected == {"time-out": 1}
    taken[0].leave()
    await settled()
    await server.seats("a", 1)


async def test_a_client_that_leaves_frees_its_place() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0))
    taken = await server.seats("a", seats(5))
    gone, stays = server.ask("a"), server.ask("a")
    await settled()
    gone.cancel()
    taken[0].leave()
    await stays
    assert gone.cancelled()
    # One that leaves just when it is let in gives its seat back.
    gone, stays = server.ask("a"), server.ask("a")
    await settled()
    taken[1].leave()
    server.control._next_turn()
    gone.cancel()
    await stays
    assert server.flow("a").level.taken == seats(5)


async def test_seats_that_nobody_needs_are_lent_and_come_back_first() -> None:
    server = Server(
        level("a", 5, queuing={"queueLengthLimit": 50}),
        level("b", 5, queuing={"queueLengthLimit": 50}, lendablePercent=50),
    )
    own = server.flow("a").level.seats.nominal
    lent = own - server.flow("b").level.seats.lower
    assert lent > 0
    taken = await server.seats("a", own + lent)
    more = server.ask("a")
    await settled()
    assert not more.done()
    # Its own seats are there at any time.
    lender = await server.seats("b", own)
    waiting = server.ask("b")
    await settled()
    assert not waiting.done()
    taken[0].leave()
    lender[0].leave()
    await waiting
    await settled()
    assert not more.done()


async def test_a_flood_does_not_keep_others_of_its_level_out() -> None:
    server = Server(level("a", 5, queuing={"queues": 64, "handSize": 4, "queueLengthLimit": 50}))
    other = schema("c", "a", "c")
    server.cache[FLOWSCHEMAS.storage_prefix].apply(Event("ADDED", item(other), None))
    taken = await server.seats("a", 1)
    while server.control._has_room(server.flow("a").level, 1):
        taken += await server.seats("a", 1)
    flood = [server.ask("a") for _ in range(100)]
    await settled()
    late = server.ask("c")
    await settled()
    turns = 0
    while not late.done():
        taken.pop().leave()
        turns += 1
        await settled()
    assert turns <= 8
    for each in flood:
        each.cancel()


async def test_levels_and_schemas_count_as_they_are_now() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0))
    assert server.flow("a").schema == "a"
    await server.seats("a", seats(5))
    waits = server.ask("a")
    await settled()
    levels = server.cache[PRIORITYLEVELS.storage_prefix]
    before = levels.get("", "a")
    wider = level("a", 50, queuing={}, borrowingLimitPercent=0)
    levels.apply(Event("MODIFIED", item(wider), before))
    await waits
    levels.apply(Event("DELETED", item(wider), item(wider)))
    assert server.flow("a").schema == "catch-all"


async def test_a_level_that_queues_no_longer_turns_away_who_waits() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0))
    await server.seats("a", seats(5))
    waits = server.ask("a")
    await settled()
    levels = server.cache[PRIORITYLEVELS.storage_prefix]
    levels.apply(Event("MODIFIED", item(level("a", 5, borrowingLimitPercent=0)), levels.get("", "a")))
    with pytest.raises(TooManyRequests):
        await waits


async def test_a_request_that_is_wider_than_its_level_runs_alone() -> None:
    server = Server(level("a", 5, queuing={}, borrowingLimitPercent=0))
    seat = await server.control.enter(server.flow("a"), 1000)
    assert server.flow("a").level.taken == server.flow("a").level.seats.widest
    seat.leave()


def test_long_turns_leave_fewer_seats_and_short_ones_give_them_back() -> None:
    room = Room()
    for _ in range(100):
        room.took(1.0)
    assert 0 < room.part < 0.1
    for _ in range(100):
        room.took(0.001)
    assert room.part == 1.0


def test_the_more_are_turned_away_the_later_they_are_to_come_again() -> None:
    retry = Retry()
    told = [retry.dropped(second + part / 10) for second in range(100) for part in range(10)]
    assert told[0] == 1
    assert told[-1] > 1
    assert max(told) <= 32
    assert retry.dropped(1000) == 1


def test_bootstrap_levels_are_there_without_objects() -> None:
    assert set(Server().control.levels) == set(bootstrap.MANDATORY)


LEASE = request_info("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a", {})
NODE = User("system:node:a", ("system:nodes", "system:authenticated"))
ELECTION = request_info("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/b", {})


@pytest.mark.parametrize("crowded", [1.0, 0.02], ids=["with all its seats", "while turns take long"])
@pytest.mark.parametrize("floods", [("somebody",), tuple(f"somebody-{number}" for number in range(40))])
async def test_a_flood_starves_no_lease(crowded: float, floods: tuple[str, ...]) -> None:
    """With upstream's levels: who floods may have all that others lend, and no more."""
    server = Server(total=600)
    for collection, objects in (
        (PRIORITYLEVELS, bootstrap.levels()),
        (FLOWSCHEMAS, bootstrap.schemas()),
    ):
        for each in objects.values():
            server.cache[collection.storage_prefix].apply(Event("ADDED", item(each), None))
    control = server.control
    control.room.part = crowded
    lists = request_info("GET", "/api/v1/pods", {})
    tasks = []
    for name in floods:
        flow = control.flow(User(name, ("system:authenticated",)), lists)
        tasks += [asyncio.ensure_future(control.enter(flow, 10)) for _ in range(600 // len(floods))]
    await settled()
    assert any(task.done() for task in tasks)
    assert any(not task.done() for task in tasks)
    asked = [
        control.flow(NODE, LEASE),
        control.flow(User("system:kube-scheduler", ("system:authenticated",)), ELECTION),
    ]
    assert [flow.level.name for flow in asked] == ["node-high", "leader-election"]
    # Not one of the flood has ended: each has a seat at once, again and again.
    for _ in range(10):
        for flow in asked:
            seat = await control.enter(flow)
            seat.leave()
            await settled()
    for task in tasks:
        task.cancel()
    await settled()

"""Rules and routes by their owner, in a network namespace of their own."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import TypeVar

import pytest

from tests.packets.proxy.world import Host
from wellhead.ip import Family
from wellhead.linux.numbers import RouteOwner
from wellhead.linux.routes import Action, Kind, Route, Rule
from wellhead.linux.routing import Owned
from wellhead.linux.rtnetlink import Requests

pytestmark = pytest.mark.cluster

T = TypeVar("T")
V4, V6 = Family.IPV4, Family.IPV6

RULES = [
    Rule(V4, 500, mark=0x10, mask=0xF0, table=5000),
    Rule(V6, 500, mark=0x10, mask=0xF0, table=5000),
    Rule(V4, 501, device="lo", to=ip_network("203.0.113.0/24"), table=5001),
    Rule(V6, 501, device="lo", to=ip_network("2001:db8:113::/64"), table=5001),
    Rule(V4, 503, Action.NOP),
    Rule(V4, 502, Action.GOTO, 0x20, 0x20, "one", goto=503),
]
ROUTES = [
    Route(V4, 5000, V4.everywhere, ip_address("10.1.0.9"), ("one",)),
    Route(V6, 5000, V6.everywhere, ip_address("fd00:1::9"), ("one",)),
    Route(V4, 5001, V4.everywhere, ip_address("10.1.0.9")),
    Route(V6, 5001, V6.everywhere, ip_address("fd00:1::9")),
    Route(V4, 5000, ip_network("10.9.0.0/16"), kind=Kind.THROW),
    Route(V6, 5000, ip_network("fd00:9::/64"), kind=Kind.THROW),
    Route(V4, 254, ip_network("10.8.0.0/16"), kind=Kind.UNREACHABLE),
    Route(V6, 254, ip_network("fd00:8::/64"), kind=Kind.UNREACHABLE),
    Route(V4, 255, ip_network("203.0.113.7/32"), devices=("lo",), kind=Kind.LOCAL),
    Route(V6, 255, ip_network("2001:db8:113::7/128"), devices=("lo",), kind=Kind.LOCAL),
    Route(V4, 5002, V4.everywhere, devices=("one",)),
    Route(V4, 5003, V4.everywhere, devices=("one", "two")),
]


@pytest.fixture(autouse=True)
def wired(host: Host) -> None:
    host.run("ip link add one type veth peer name two")
    host.ip(
        "link set one up",
        "link set two up",
        "addr add 10.1.0.1/24 dev one",
        "addr add fd00:1::1/64 dev one nodad",
    )


def owned(host: Host, work: Callable[[Owned], T], owner: RouteOwner = RouteOwner.RETURN) -> T:
    def inside() -> T:
        with Requests() as asker:
            return work(Owned(asker, owner, (254, 255, *range(5000, 5004))))

    return host.inside(inside)


def test_what_is_added_is_found_as_it_was_meant_and_not_added_again(host: Host) -> None:
    assert owned(host, lambda it: it.add(RULES, ROUTES))
    assert owned(host, Owned.rules) == set(RULES)
    assert not owned(host, lambda it: it.add(RULES, ROUTES))
    assert not owned(host, lambda it: it.remove_others(RULES, ROUTES))


def test_others_in_the_same_table_stay(host: Host) -> None:
    owned(host, lambda it: it.add(RULES[:1], ROUTES[:1]))
    host.run("ip route add 192.0.2.0/24 via 10.1.0.8 table 5000")
    host.run("ip rule add pref 500 fwmark 0x30/0xf0 lookup 5000 protocol 99")
    host.run("ip route add 192.0.2.9 dev one table 77 proto 88")
    host.run("ip rule add pref 500 lookup 77 protocol 88")
    other = Route(V4, 5000, ip_network("198.51.100.0/24"), ip_address("10.1.0.7"), ("one",))
    owned(host, lambda it: it.add([RULES[2]], [other]), RouteOwner.FORWARDER)
    assert owned(host, lambda it: it.remove_others((), ()))
    assert not owned(host, Owned.routes)
    assert not owned(host, Owned.rules)
    assert owned(host, Owned.routes, RouteOwner.FORWARDER) == {other}
    assert owned(host, Owned.rules, RouteOwner.FORWARDER) == {RULES[2]}
    assert "192.0.2.0/24 via 10.1.0.8" in host.run("ip route show table 5000")
    assert "192.0.2.9 dev one" in host.run("ip route show table 77")
    rules = host.run("ip rule")
    assert "fwmark 0x30/0xf0" in rules
    assert "lookup 77" in rules


def test_a_route_that_leads_elsewhere_now_replaces_the_one_before(host: Host) -> None:
    owned(host, lambda it: it.add((), ROUTES))
    moved = [each._replace(gateway=each.gateway + 1) if each.gateway else each for each in ROUTES]
    reachable = [
        each._replace(kind=Kind.UNICAST, gateway=ip_address("10.1.0.3"), devices=("one",))
        if each.to == ip_network("10.8.0.0/16")
        else each
        for each in moved
    ]
    assert owned(host, lambda it: it.add((), reachable))
    assert not owned(host, lambda it: it.add((), reachable))
    assert not owned(host, lambda it: it.remove_others((), reachable))


def test_what_is_gone_already_is_no_error(host: Host) -> None:
    def twice(it: Owned) -> None:
        for _ in range(2):
            it.delete_rules(RULES[0])
            it.delete(ROUTES[0])

    owned(host, lambda it: it.add(RULES[:1], ROUTES[:1]))
    owned(host, twice)
    assert owned(host, Owned.routes) == frozenset()

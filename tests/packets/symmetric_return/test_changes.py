"""Nodes that come, go and move; others' changes; and leaving no trace."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from pyroute2 import NFCTSocket

from tests.packets.symmetric_return.conftest import in_force
from tests.packets.symmetric_return.world import CLIENT, CLIENT6, NUMBERS, Node, World, connect
from wellhead.ip import IPAddress
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.kernel import ReturnPathError, remove_all
from wellhead.proxy.symmetric_return.settings import ReturnSettings

pytestmark = pytest.mark.cluster

_POD_NETWORKS = {
    number: (ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:10:244:{number}::/64"))
    for number in NUMBERS
}


def connections(node: Node) -> int:
    """How many of the node's connections have come by peers."""

    def count() -> int:
        arrived = Marks().arrived
        with NFCTSocket(nfgen_family=socket.AF_UNSPEC) as conntrack:
            return len(list(conntrack.dump(mark=arrived, mark_mask=arrived)))

    return node.host.inside(count)


def test_node_that_comes_is_served_and_disturbs_nobody(new_world: World) -> None:
    new_world.converge(1, 2)
    with connect(new_world, 1) as before:
        new_world.converge()
        assert before.echo()
        with connect(new_world, 3) as connection:
            assert connection.seen == CLIENT


def test_connections_of_a_node_that_is_gone_are_forgotten(new_world: World) -> None:
    with connect(new_world, 1) as staying, connect(new_world, 3), connect(new_world, 3, udp=True, version=6):
        assert connections(new_world.nodes[2]) == 3
        new_world.converge(1, 2)
        assert connections(new_world.nodes[2]) == 1
        assert staying.echo()
        assert "node-3" not in new_world.nodes[2].traces()


def test_machine_may_have_an_old_node_object_too(new_world: World) -> None:
    facts = {number: node.facts for number, node in new_world.nodes.items()}
    old = [dataclasses.replace(facts[number], name=f"old-{number}") for number in (2, 3)]
    for number in (1, 2):
        new_world.nodes[number].work([*(each for n, each in facts.items() if n != number), *old])
    for node in (1, 3):
        with connect(new_world, node) as connection, connect(new_world, node, udp=True, version=6) as flow:
            assert connection.seen == CLIENT
            assert flow.seen == CLIENT6


def test_number_of_a_node_that_is_gone_is_not_given_again_at_once(new_world: World) -> None:
    def numbers() -> dict[str, int]:
        outcome = new_world.nodes[2].outcome
        assert outcome is not None
        return {each.name: each.index for each in outcome.plan.peers}

    before = numbers()
    new_world.converge(1, 2)
    new_world.converge()
    assert numbers()["node-1"] == before["node-1"]
    assert numbers()["node-3"] not in before.values()


@contextlib.contextmanager
def _moved(world: World, number: int) -> Iterator[None]:
    """A node has other addresses, and the routes of the others lead there."""
    node, device = world.nodes[number], "wan" if world.routed else "eth0"
    old = node.facts.addresses
    new = tuple(each + 16 for each in old)

    def lead(four: IPAddress, six: IPAddress) -> None:
        for other in () if world.routed else set(NUMBERS) - {number}:
            world.nodes[other].host.ip(
                f"route replace 10.244.{number}.0/24 via {four}",
                f"route replace fd00:10:244:{number}::/64 via {six}",
            )
        node.facts = dataclasses.replace(node.facts, addresses=(four, six))

    node.host.ip(f"addr add {new[0]}/24 dev {device}", f"addr add {new[1]}/64 dev {device} nodad")
    lead(*new)
    yield
    lead(*old)
    node.host.ip(f"addr del {new[0]}/24 dev {device}", f"addr del {new[1]}/64 dev {device}")


def test_connections_stay_with_a_node_whose_addresses_change(new_world: World) -> None:
    with connect(new_world, 3) as four, connect(new_world, 3, version=6) as six, _moved(new_world, 3):
        new_world.converge()
        assert four.echo()
        assert six.echo()
        with connect(new_world, 3) as later:
            assert later.seen == CLIENT


@pytest.mark.parametrize("check", ["0", "2"])
def test_reverse_path_checks_may_be_loose_or_off(built: World, check: str) -> None:
    def set_checks(value: str) -> None:
        for node in built.nodes.values():
            for scope in ("all", "default", "wan", *(() if built.routed else ("eth0",))):
                node.host.sysctl(f"net/ipv4/conf/{scope}/rp_filter", value)

    built.configure(ReturnSettings())
    set_checks(check)
    try:
        in_force(built)
        with connect(built, 1) as connection, connect(built, 3, 90, udp=True) as flow:
            assert connection.echo()
            assert flow.echo()
    finally:
        set_checks("1")


def test_what_others_removed_comes_back(new_world: World) -> None:
    with connect(new_world, 1) as connection:
        for node in new_world.nodes.values():
            before = node.traces()
            node.host.run("nft delete table inet wellhead-return")
            for family in ("-4", "-6"):
                for rule in node.host.run(f"ip {family} rule").splitlines():
                    priority = rule.partition(":")[0]
                    if 80 < int(priority) < 100:
                        node.host.run(f"ip {family} rule del pref {priority}")
            if new_world.routed:
                node.host.run("ip neigh flush nud permanent dev wellhead-vxlan")
            new_world.converge()
            assert node.traces() == before
        assert connection.echo()


def test_interface_that_is_reset_takes_no_connection_along(new_world: World) -> None:
    if new_world.routed:
        pytest.skip("there is one interface alone")
    node = new_world.nodes[2].host
    with connect(new_world, 1) as connection:
        node.ip("link set eth0 down")
        with pytest.raises(ReturnPathError):
            new_world.converge()
        node.ip("link set eth0 up", f"addr replace {new_world.node_address(2, 6)}/64 dev eth0 nodad")
        for other in (1, 3):
            node.ip(
                f"route replace 10.244.{other}.0/24 via {new_world.node_address(other)}",
                f"route replace fd00:10:244:{other}::/64 via {new_world.node_address(other, 6)}",
            )
        new_world.converge()
        assert connection.echo()


def test_nodes_may_have_ipv6_alone(built: World) -> None:
    def only(*versions: int) -> None:
        for number, node in built.nodes.items():
            addresses = tuple(ip_address(built.node_address(number, each)) for each in versions)
            pods = tuple(each for each in _POD_NETWORKS[number] if each.version in versions)
            node.facts = dataclasses.replace(node.facts, addresses=addresses, pod_networks=pods)

    only(6)
    try:
        in_force(built)
        for port in (80, 90):
            with connect(built, 1, port, version=6) as connection:
                assert connection.seen == CLIENT6
                assert connection.echo(bytes(50000))
    finally:
        only(4, 6)


@contextlib.contextmanager
def _foreign(node: Node) -> Iterator[None]:
    things = ("rule {} pref 88 fwmark 0x7/0xff lookup 77", "route {} 192.0.2.200/32 dev lo table 77 proto 88")
    node.host.ip(*(each.format("add") for each in things))
    node.host.run("nft add table inet others")
    yield
    node.host.run("nft delete table inet others")
    node.host.ip(*(each.format("del") for each in things))


def test_cleaning_up_leaves_no_trace_and_what_is_others(built: World) -> None:
    built.configure(ReturnSettings())
    node = built.nodes[2]
    with _foreign(node):
        before = node.traces()
        for path in ("auto", "tunnel"):
            built.configure(ReturnSettings(path=path))
            built.converge()
            assert node.traces() != before
            assert node.host.inside(lambda: remove_all(Marks()))
            assert node.traces() == before
            assert not node.host.inside(lambda: remove_all(Marks()))
    for number in NUMBERS:
        built.nodes[number].host.inside(lambda: remove_all(Marks()))


def test_without_a_tunnel_nothing_is_promised(built: World) -> None:
    built.configure(ReturnSettings(path="tunnel"))
    node = built.nodes[1]
    taken = "link {} others type vxlan id 7687 dstport 4799 nolearning"
    node.host.ip(taken.format("add"))
    try:
        built.converge()
        assert node.outcome is not None
        assert node.outcome.announced is None
        assert "VXLAN" in node.outcome.problem
        assert [each.name for each in built.nodes[2].outcome.plan.peers] == ["node-3"]  # type: ignore[union-attr]
    finally:
        node.host.ip("link del others")
    built.converge()
    assert node.outcome.announced is not None
    built.configure(ReturnSettings())

"""Clients keep their address, and replies find the way back, by real packets."""

from __future__ import annotations

import contextlib

import pytest

from tests.packets.proxy.foreign import FOREIGN
from tests.packets.symmetric_return.world import CLIENT, CLIENT6, World, connect

pytestmark = pytest.mark.cluster

_SEEN = {4: CLIENT, 6: CLIENT6}
BLOCKS = {4: "10.99.0.0/26", 6: "fd00:10:99::/122"}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("port", [80, 90])
def test_server_on_another_node_sees_the_client(world: World, udp: bool, version: int, port: int) -> None:
    with connect(world, 1, port, udp=udp, version=version) as connection:
        assert (connection.seen, connection.seen_port) == (_SEEN[version], connection.port)
        assert connection.echo()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("ports", [(80, 81), (90,)])
def test_one_client_port_by_several_nodes_and_frontends_is_kept_apart(
    world: World, udp: bool, version: int, ports: tuple[int, ...]
) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(connect(world, 1, ports[0], udp=udp, version=version))
        connections = [first]
        for node in (1, 3, 2):
            for port in ports:
                if (node, port) != (1, ports[0]):
                    again = connect(world, node, port, udp=udp, version=version, from_port=first.port)
                    connections.append(stack.enter_context(again))
        assert {each.port for each in connections} == {first.port}
        assert {each.seen for each in connections} == {_SEEN[version]}
        assert len({each.seen_port for each in connections}) == len(connections)
        for number, connection in enumerate([*connections, *reversed(connections)]):
            assert connection.echo(f"number {number}".encode())


@pytest.mark.parametrize("version", [4, 6])
def test_much_data_gets_through_both_ways(world: World, version: int) -> None:
    data = bytes(range(256)) * 2000
    for node in (1, 3):
        with connect(world, node, version=version) as connection:
            for start in range(0, len(data), 64000):
                assert connection.echo(data[start : start + 64000])


@pytest.mark.parametrize("version", [4, 6])
def test_narrow_path_to_the_client_is_told_to_the_server(world: World, version: int) -> None:
    world.router.ip("link set client mtu 1300")
    try:
        with (
            connect(world, 1, version=version) as first,
            connect(world, 3, version=version, from_port=first.port) as moved,
        ):
            assert moved.seen_port != first.port
            for connection in (first, moved):
                assert connection.echo(bytes(50000))
    finally:
        world.router.ip("link set client mtu 1500")
        world.pods[2].run("ip route flush cache")
        world.pods[2].run("ip -6 route flush cache")


@pytest.mark.parametrize("version", [4, 6])
def test_endpoint_that_is_not_in_its_nodes_networks_sees_the_ingress_node(world: World, version: int) -> None:
    """The endpoint's node would not recognise the packets."""
    with connect(world, 1, 95, version=version) as connection:
        assert connection.seen == world.node_address(1, version)


@pytest.mark.parametrize("version", [4, 6])
def test_endpoint_in_a_block_of_its_node_sees_the_client(world: World, version: int) -> None:
    """As Calico gives nodes blocks that their Node objects know nothing of."""
    block = BLOCKS[version]
    world.nodes[2].host.ip(f"route add blackhole {block}")
    try:
        world.converge()
        for udp in (False, True):
            with connect(world, 1, 95, udp=udp, version=version) as connection:
                assert connection.seen == _SEEN[version]
                assert connection.echo()
    finally:
        world.nodes[2].host.ip(f"route del blackhole {block}")
        world.converge()
    with connect(world, 1, 95, version=version) as connection:
        assert connection.seen == world.node_address(1, version)


def test_marks_may_count_in_all_reverse_path_checks(world: World) -> None:
    """WireGuard's wg-quick sets src_valid_mark for all interfaces."""
    host = world.nodes[2].host
    host.sysctl("net/ipv4/conf/all/src_valid_mark", "1")
    try:
        for port in (80, 90):
            with connect(world, 1, port) as connection:
                assert connection.seen == CLIENT
    finally:
        host.sysctl("net/ipv4/conf/all/src_valid_mark", "0")


@pytest.mark.parametrize("udp", [False, True])
def test_connections_outlive_the_proxies(world: World, udp: bool) -> None:
    with connect(world, 1, udp=udp) as one, connect(world, 3, udp=udp) as three:
        before = [each.traces() for each in world.nodes.values()]
        for node in world.nodes.values():
            node.restart()
        assert one.echo()
        assert three.echo()
        world.converge()
        assert [each.traces() for each in world.nodes.values()] == before
        assert one.echo()
        assert three.echo()
        with connect(world, 3, udp=udp) as later:
            assert later.seen == CLIENT


@pytest.mark.parametrize("name", ["nft", "iptables-legacy"])
def test_a_masquerade_on_the_endpoints_node_hides_no_client(world: World, name: str) -> None:
    undo = FOREIGN[name](world.nodes[2].host)
    try:
        for version in (4, 6):
            for udp in (False, True):
                with connect(world, 1, udp=udp, version=version) as connection:
                    assert connection.seen == _SEEN[version]
                    assert connection.echo()
    finally:
        undo()

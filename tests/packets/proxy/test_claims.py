"""Connections that keep their source although somebody else masquerades behind the proxy, by real packets."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.packets.proxy.backends import by_every_backend
from tests.packets.proxy.foreign import FOREIGN
from tests.packets.proxy.test_preserving import RETURNING, preserving
from tests.packets.proxy.test_source_ip import (
    CLUSTER_IP,
    CLUSTER_IP6,
    EXTERNAL,
    VIP,
    VIP6,
    at,
    web,
)
from tests.packets.proxy.world import (
    CLIENT,
    CLIENT6,
    GATEWAY,
    NODE,
    NODE6,
    POD_A,
    POD_A6,
    POD_B,
    POD_B6,
    POD_FAR,
    POD_FAR6,
    TARGET_PORT,
    THIS_NODE,
    Answer,
    Host,
    World,
    answering,
    dial,
)
from tests.patience import until
from tests.unit.services.objects import endpoint, endpoint_slice
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.node import LocalNode, Ways

pytestmark = [pytest.mark.cluster, by_every_backend]

WAYS = Ways(routed=tuple(ip_network(each) for each in ("10.244.2.0/24", "fd00:10:244:2::/64")))
ROUTED = dataclasses.replace(THIS_NODE, ways=WAYS)
Masquerade = Callable[[str], None]


def set_node(world: World, node: LocalNode) -> None:
    world.view.set_node(node)


@pytest.fixture(autouse=True)
def routes(world: World) -> Iterator[None]:
    world.program([], [])
    set_node(world, ROUTED)
    yield
    set_node(world, THIS_NODE)
    world.program([], [])


@pytest.fixture
def masquerade(world: World) -> Iterator[Masquerade]:
    """Have somebody masquerade on the node until the test's end."""
    undo: list[Callable[[], None]] = []
    yield lambda name: undo.append(FOREIGN[name](world.node))
    for each in undo:
        each()


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_pod_keeps_its_source_towards_a_service(
    world: World, masquerade: Masquerade, name: str, udp: bool
) -> None:
    masquerade(name)
    for pod, pod6 in ((POD_FAR, POD_FAR6), (POD_B, POD_B6)):
        world.program([web()], at(pod, pod6))
        assert dial(world.pod_a, CLUSTER_IP, 80, udp=udp) == Answer(pod, POD_A)
        assert dial(world.pod_a, CLUSTER_IP6, 80, udp=udp) == Answer(pod6, POD_A6)
    assert dial(world.pod_a, POD_FAR, TARGET_PORT, udp=udp).seen == NODE, "what is no Service's is untouched"


@pytest.mark.parametrize("name", ["nft", "iptables-nft", "iptables-legacy"])
def test_whoever_masquerades_later_comes_too_late(world: World, masquerade: Masquerade, name: str) -> None:
    world.program([web(externalTrafficPolicy="Local")], at(POD_A, POD_A6))
    masquerade(name)
    for udp in (False, True):
        assert dial(world.outside, VIP, 80, source=CLIENT, udp=udp) == Answer(POD_A, CLIENT)
        assert dial(world.outside, NODE, 30080, source=CLIENT, udp=udp) == Answer(POD_A, CLIENT)
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == Answer(POD_A6, CLIENT6)
    assert dial(world.outside, NODE6, 30080, source=CLIENT6) == Answer(POD_A6, CLIENT6)


def test_pods_keep_their_source_towards_outside_addresses_under_policy_local(
    world: World, masquerade: Masquerade
) -> None:
    masquerade("nft")
    world.program([web(externalTrafficPolicy="Local")], at(POD_FAR))
    for address, port in ((VIP, 80), (EXTERNAL, 80), (NODE, 30080)):
        assert dial(world.pod_a, address, port) == Answer(POD_FAR, POD_A)


def test_a_preserved_client_keeps_its_address(world: World, masquerade: Masquerade) -> None:
    masquerade("nft")
    set_node(world, dataclasses.replace(RETURNING, ways=WAYS))
    world.other_node.ip(f"route add {CLIENT}/32 via {NODE}", f"route add {CLIENT6}/128 via {NODE6}")
    try:
        for pod in (POD_A, POD_FAR):
            world.program([preserving()], at(pod))
            for address, port in ((NODE, 30080), (VIP, 80)):
                assert dial(world.outside, address, port, source=CLIENT) == Answer(pod, CLIENT)
        assert dial(world.node, VIP, 80) == Answer(POD_FAR, NODE)
        set_node(world, dataclasses.replace(RETURNING, ways=WAYS, returning=frozenset()))
        world.program([preserving()], at(POD_FAR))
        assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_FAR, NODE)
    finally:
        world.other_node.ip(f"route del {CLIENT}/32", f"route del {CLIENT6}/128")


def test_hairpins_and_what_is_to_be_masqueraded_stay_so(world: World, masquerade: Masquerade) -> None:
    masquerade("iptables-legacy")
    world.program([web()], at(POD_A))
    assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_A, GATEWAY)
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, GATEWAY)
    assert dial(world.node, CLUSTER_IP, 80) == Answer(POD_A, GATEWAY)
    world.program([web()], at(POD_FAR))
    assert dial(world.outside, NODE, 30080, source=CLIENT) == Answer(POD_FAR, NODE)


def test_what_another_node_has_sent_to_an_endpoint_here_keeps_its_source(
    world: World, masquerade: Masquerade
) -> None:
    masquerade("nft")
    world.program([web()], at(POD_A, POD_A6))
    assert dial(world.other_node, POD_A, TARGET_PORT, source=POD_FAR) == Answer(POD_A, POD_FAR)
    assert dial(world.other_node, POD_A6, TARGET_PORT, source=POD_FAR6) == Answer(POD_A6, POD_FAR6)
    assert dial(world.other_node, POD_B, TARGET_PORT, source=POD_FAR) == Answer(POD_B, GATEWAY)


def test_where_nobody_knows_the_way_of_replies_the_masquerade_stays(
    world: World, masquerade: Masquerade
) -> None:
    """Towards an endpoint that names no node, or one to which no route but the default leads."""
    masquerade("iptables-nft")
    world.program([web()], [somewhere(POD_FAR)])
    assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, NODE)
    set_node(world, THIS_NODE)
    world.program([web()], at(POD_FAR))
    assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, NODE)
    set_node(world, dataclasses.replace(THIS_NODE, cluster_networks=(ip_network("10.244.0.0/16"),)))
    world.program([web()], at(POD_FAR))
    assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, POD_A)


def test_all_or_none_are_claimed_if_that_is_asked_for(world: World, masquerade: Masquerade) -> None:
    masquerade("nft")
    world.restart(claims="none")
    try:
        world.program([web()], at(POD_FAR))
        assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, NODE)
        world.restart(claims="all")
        world.program([web()], [somewhere(POD_FAR)])
        assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, POD_A)
        assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_FAR, NODE)
    finally:
        world.restart()


def test_who_flushes_everything_is_noticed(world: World, masquerade: Masquerade) -> None:
    world.program([web()], at(POD_FAR))

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(world.backend.changed())

    async def end() -> None:
        listening.cancel()

    listening = world.node.await_(begin())
    world.node.run("nft flush ruleset")
    if world.backend.mode == "nftables":
        until(listening.done)
    else:
        until(lambda: "table ip wellhead-claims\n" in world.node.run("nft list tables"))
    world.node.await_(end())
    world.node.await_(world.backend.check())
    masquerade("iptables-legacy")
    assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, POD_A)
    assert not world.node.await_(world.backend.check())


def test_they_go_with_everything_else(world: World) -> None:
    world.program([web()], at(POD_FAR))
    world.node.await_(world.backend.cleanup())
    assert "wellhead" not in world.node.run("nft list tables")
    world.restart()


def somewhere(pod: str) -> EndpointSlice:
    """An endpoint that doesn't say which node it is on."""
    ports = ({"name": "tcp", "port": TARGET_PORT},)
    return endpoint_slice(endpoint(pod, None), of="web", name="web-IPv4", family="IPv4", ports=ports)


def test_two_pods_on_one_bridge_are_left_to_who_makes_their_replies_come_back(
    world: World, masquerade: Masquerade
) -> None:
    """Without br_netfilter: the reply would cross the bridge, and nobody would translate it back."""
    gateway, pods = "10.244.1.65", ("10.244.1.66", "10.244.1.67")
    if Path("/proc/sys/net/bridge").exists():
        world.node.sysctl("net/bridge/bridge-nf-call-iptables", "0")
    hosts = [Host(), Host()]
    try:
        world.node.ip("link add cni0 type bridge", f"addr add {gateway}/26 dev cni0", "link set cni0 up")
        for host, address in zip(hosts, pods, strict=True):
            name = f"br{address[-2:]}"
            world.node.ip(
                f"link add {name} type veth peer name eth0 netns {host.path}",
                f"link set {name} master cni0 up",
            )
            host.ip(f"addr add {address}/26 dev eth0", "link set eth0 up", f"route add default via {gateway}")
        set_node(world, dataclasses.replace(ROUTED, ways=dataclasses.replace(WAYS, bridges=("cni0",))))
        ports = ({"name": "tcp", "port": TARGET_PORT},)
        there = endpoint_slice(endpoint(pods[1]), of="web", name="web-IPv4", family="IPv4", ports=ports)
        world.program([web()], [there])
        masquerade("nft")
        with answering([(hosts[1], (pods[1],))]):
            assert dial(hosts[0], CLUSTER_IP, 80) == Answer(pods[1], gateway)
    finally:
        world.node.ip("link del cni0")
        for host in hosts:
            host.close()

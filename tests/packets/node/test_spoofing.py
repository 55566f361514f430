"""A pod can't lie about its own address: raw frames from a pod, and who gets them."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.packets.node import frames
from tests.packets.node.frames import ethernet, ip, udp
from tests.packets.node.world import IPV4, IPV6, Family, World
from tests.patience import PATIENCE
from wellhead.node.network.links import interface_name, link_local, mac_address

MARK, GENUINE = b"spoofed-spoofed!", b"genuine-genuine!"
OWN_MAC = mac_address(ip_address(IPV4.a))
OWN_LINK_LOCAL = str(link_local(ip_address(IPV4.a)))
ETHERTYPE = {4: 0x0800, 6: 0x86DD}

SOURCES = {
    4: {
        "another pod": IPV4.b,
        "a pod of another node": "10.244.2.7",
        "nobody's pod address": IPV4.nobody,
        "the gateway": IPV4.gateway,
        "the node": IPV4.node,
        "another node": "10.240.0.12",
        "the API server": "10.240.0.2",
        "a ClusterIP": "10.0.0.1",
        "a VIP": "203.0.113.1",
        "the client": "198.51.100.79",
        "nobody": "0.0.0.0",
        "loopback": "127.0.0.1",
        "broadcast": "255.255.255.255",
        "a group": "224.0.0.1",
        "link-local": "169.254.1.1",
    },
    6: {
        "another pod": IPV6.b,
        "a pod of another node": "fd00:10:244:2::7",
        "nobody's pod address": IPV6.nobody,
        "the gateway": IPV6.gateway,
        "the node": IPV6.node,
        "another node": "fd00:10:240::12",
        "a ClusterIP": "fd00:10::1",
        "a VIP": "2001:db8:113::1",
        "the client": "2001:db8:51::79",
        "nobody": "::",
        "loopback": "::1",
        "a group": "ff02::1",
        "its own link-local": OWN_LINK_LOCAL,
        "another link-local": "fe80::1",
        "an IPv4 address in IPv6": f"::ffff:{IPV4.b}",
    },
}


@pytest.fixture
def pods(world: World) -> World:
    """Two, on a node whose reverse-path filter is loose, as symmetric return needs it."""
    world.run(lambda: Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("2"))
    world.add_pod("a", IPV4.a, IPV6.a)
    world.add_pod("b", IPV4.b, IPV6.b)
    world.apply_rules()
    return world


@pytest.fixture(params=[IPV4, IPV6], ids=["ipv4", "ipv6"])
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


class Watchers:
    """All that comes to the other pod and to the world behind the node."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.pod = stack.enter_context(world.wire("a", "eth0"))
        self._to = {
            "b": stack.enter_context(world.wire("b", "eth0")),
            "edge": stack.enter_context(world.wire("edge", "nodes")),
        }

    def seen_before_a_genuine_one(self, family: Family) -> set[str]:
        """Where a frame with the mark came to, until one from the pod's own address came there as well."""
        version = 6 if ":" in family.a else 4
        for to in (family.b, family.edge):
            packet = ip(family.a, to, frames.UDP, udp(family.a, to, GENUINE))
            self.pod.send(ethernet(packet, ETHERTYPE[version], OWN_MAC))
        found = set()
        for name, wire in self._to.items():
            while GENUINE not in (frame := _incoming(wire)):
                if MARK in frame:
                    found.add(name)
        return found


def _incoming(wire: socket.socket) -> bytes:
    while (received := wire.recvfrom(4096))[1][2] == socket.PACKET_OUTGOING:
        pass
    return received[0]


@pytest.fixture
def watchers(pods: World) -> Iterator[Watchers]:
    with ExitStack() as stack:
        yield Watchers(pods, stack)


def _as_udp(source: str, to: str) -> bytes:
    return ip(source, to, frames.UDP, udp(source, to, MARK))


def _as_syn(source: str, to: str) -> bytes:
    return ip(source, to, frames.TCP, frames.syn(source, to, MARK))


def _as_echo(source: str, to: str) -> bytes:
    protocol = frames.ICMPV6 if ":" in to else frames.ICMP
    return ip(source, to, protocol, frames.echo(source, to, MARK))


def _as_first_fragment(source: str, to: str) -> bytes:
    return ip(source, to, frames.UDP, udp(source, to, MARK)[:24], more=True)


def _as_later_fragment(source: str, to: str) -> bytes:
    return ip(source, to, frames.UDP, MARK, offset=1400)


def _as_unknown_protocol(source: str, to: str) -> bytes:
    return ip(source, to, 253, MARK)


def _behind_options(source: str, to: str) -> bytes:
    """IPv6 extension headers: hop-by-hop, destination options, routing; in IPv4 there are none."""
    if ":" not in to:
        return _as_udp(source, to)
    inner = udp(source, to, MARK)
    padding = struct.pack("!BB4x", 1, 4)
    routing = struct.pack("!BBBBI", frames.UDP, 0, 4, 0, 0)
    chain = struct.pack("!BB", 60, 0) + padding + struct.pack("!BB", 43, 0) + padding + routing
    return ip(source, to, 0, chain + inner)


WHOLE: list[Callable[[str, str], bytes]] = [_as_udp, _as_syn, _as_echo, _as_unknown_protocol, _behind_options]
FORMS = [*WHOLE, _as_first_fragment, _as_later_fragment]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__.strip("_"))
def test_what_comes_from_an_address_that_is_not_the_pods_goes_nowhere(
    watchers: Watchers, family: Family, form: Callable[[str, str], bytes]
) -> None:
    version = 6 if family is IPV6 else 4
    for source in SOURCES[version].values():
        for to in (family.b, family.edge, family.outside, family.node):
            for mac in (OWN_MAC, "02:00:00:00:00:99"):
                watchers.pod.send(ethernet(form(source, to), ETHERTYPE[version], mac))
    assert watchers.seen_before_a_genuine_one(family) == set()


@pytest.mark.parametrize("form", WHOLE, ids=lambda form: form.__name__.strip("_"))
def test_the_same_from_the_pods_own_address_arrives(
    watchers: Watchers, family: Family, form: Callable[[str, str], bytes]
) -> None:
    version = 6 if family is IPV6 else 4
    for to in (family.b, family.edge):
        watchers.pod.send(ethernet(form(family.a, to), ETHERTYPE[version], OWN_MAC))
    assert watchers.seen_before_a_genuine_one(family) == {"b", "edge"}


def test_whole_fragments_of_the_pods_own_arrive(watchers: Watchers, family: Family) -> None:
    version = 6 if family is IPV6 else 4
    content = udp(family.a, family.b, MARK * 4)
    for packet in (
        ip(family.a, family.b, frames.UDP, content[:24], more=True),
        ip(family.a, family.b, frames.UDP, content[24:], offset=24),
    ):
        watchers.pod.send(ethernet(packet, ETHERTYPE[version], OWN_MAC))
    assert "b" in watchers.seen_before_a_genuine_one(family)


@pytest.mark.parametrize("outer", [IPV4, IPV6], ids=["in-ipv4", "in-ipv6"])
@pytest.mark.parametrize("protocol", [frames.IPIP, frames.IPV6_IN, frames.GRE])
def test_the_node_opens_no_tunnel_for_a_pod(watchers: Watchers, outer: Family, protocol: int) -> None:
    """What is inside stays inside: it doesn't come out by itself with an address of somebody else's."""
    inner_family = IPV6 if protocol == frames.IPV6_IN else IPV4
    version, ethertype = (6, ETHERTYPE[6]) if outer is IPV6 else (4, ETHERTYPE[4])
    assert version in ETHERTYPE
    inner = _as_udp(inner_family.nobody, inner_family.b)
    content = struct.pack("!HH", 0, ETHERTYPE[4]) + inner if protocol == frames.GRE else inner
    for to in (outer.node, outer.gateway):
        watchers.pod.send(ethernet(ip(outer.a, to, protocol, content), ethertype, OWN_MAC))
    assert watchers.seen_before_a_genuine_one(outer) == set()


def test_a_pod_has_no_voice_before_it_is_admitted(pods: World, family: Family) -> None:
    pods.apply_rules()
    pods.add_pod("c", "10.244.1.4", "fd00:10:244:1::4")
    own = "10.244.1.4" if family is IPV4 else "fd00:10:244:1::4"
    with ExitStack() as stack:
        watchers = Watchers(pods, stack)
        wire = stack.enter_context(pods.wire("c", "eth0"))
        frame = ethernet(_as_udp(own, family.b), ETHERTYPE[4 if family is IPV4 else 6], OWN_MAC)
        wire.send(frame)
        assert watchers.seen_before_a_genuine_one(family) == set()
        pods.apply_rules()
        wire.send(frame)
        assert watchers.seen_before_a_genuine_one(family) == {"b"}


def test_who_may_spoof_does(pods: World, family: Family) -> None:
    pods.add_pod("d", "10.244.1.5", "fd00:10:244:1::5", spoofs=True)
    pods.apply_rules()
    with ExitStack() as stack:
        watchers = Watchers(pods, stack)
        wire = stack.enter_context(pods.wire("d", "eth0"))
        wire.send(ethernet(_as_udp(family.b, family.edge), ETHERTYPE[4 if family is IPV4 else 6], OWN_MAC))
        assert "edge" in watchers.seen_before_a_genuine_one(family)


def test_the_nodes_own_loopback_is_out_of_reach(pods: World) -> None:
    """Though connections from there may go to pods with host ports (route_localnet, CVE-2020-8558)."""

    def server() -> socket.socket:
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.bind(("0.0.0.0", 9))
        found.settimeout(PATIENCE)
        return found

    with pods.run(server) as node, pods.wire("a", "eth0") as pod:
        for to, data in (("127.0.0.1", MARK), (IPV4.node, GENUINE)):
            pod.send(ethernet(ip(IPV4.a, to, frames.UDP, udp(IPV4.a, to, data)), ETHERTYPE[4], OWN_MAC))
        assert node.recv(100) == GENUINE


def _answer(pod: socket.socket, wanted: Callable[[bytes], bool]) -> bytes:
    while not wanted(frame := pod.recv(4096)):
        pass
    return frame


def _neighbours(world: World) -> set[str]:
    listed = world.ip("node", "-j", "neigh", "show", "dev", interface_name("a"))
    return {each["dst"] for each in json.loads(listed or "[]")}


def test_arp_as_somebody_else_teaches_the_node_nothing(pods: World) -> None:
    with pods.wire("a", "eth0") as pod:
        for sender in SOURCES[4].values():
            pod.send(frames.arp_request(sender, IPV4.gateway, OWN_MAC))
        pod.send(frames.arp_request(IPV4.a, IPV4.gateway, OWN_MAC))
        own = ip_address(IPV4.a).packed
        _answer(
            pod,
            lambda frame: (frame[12:14], frame[20:22], frame[38:42]) == (b"\x08\x06", b"\0\2", own),
        )
    assert {each for each in _neighbours(pods) if ":" not in each} == {IPV4.a}


def test_neighbour_discovery_works_and_lies_teach_the_node_nothing(pods: World) -> None:
    def advertises(to: str) -> Callable[[bytes], bool]:
        return lambda frame: (
            frame[12:14] == b"\x86\xdd" and frame[54:55] == b"\x88" and frame[38:54] == ip_address(to).packed
        )

    with pods.wire("a", "eth0") as pod:
        for source in SOURCES[6].values():
            if source not in (OWN_LINK_LOCAL, "::"):
                pod.send(frames.solicitation(source, IPV6.gateway, OWN_MAC))
        pod.send(frames.solicitation("::", IPV6.gateway, OWN_MAC))
        _answer(pod, advertises("ff02::1"))  # who asks whether an address is free is told that it isn't
        pod.send(frames.solicitation(OWN_LINK_LOCAL, IPV6.gateway, OWN_MAC))
        _answer(pod, advertises(OWN_LINK_LOCAL))
    learned = {each for each in _neighbours(pods) if ":" in each and not each.startswith("ff")}
    assert learned == {IPV6.a, OWN_LINK_LOCAL}

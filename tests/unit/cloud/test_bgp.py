"""Which VIPs a node announces, and how BIRD is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.objects import DRAINING, endpoint, endpoint_slice, service_object
from wellhead.cloud.bgp.advertised import Advertised, read_service
from wellhead.cloud.bgp.bird import Bird
from wellhead.cloud.bgp.config import Peer, Session, config, router_id
from wellhead.cloud.bgp.options import Options, resolve
from wellhead.cloud.options import OptionError
from wellhead.cloud.plane import PlaneError

VIP, VIP6 = "203.0.113.7", "fd00:203::7"


def balanced(name: str = "web", **spec: Any) -> Any:
    facts = {"type": "LoadBalancer", "ingress": ({"ip": VIP}, {"ip": VIP6}), **spec}
    return read_service(
        service_object(name, cluster_ips=("10.0.0.10", "fd00:10::10"), healthCheckNodePort=32000, **facts)
    )


def announced(service: Any, *endpoints: Any, node: str = "node-1") -> set[str]:
    found = Advertised(node)
    found.set_service(service)
    found.set_slice("default", "web-1", endpoint_slice(*endpoints))
    return {str(each) for each in found.vips()}


HERE, THERE = endpoint("10.244.1.2", "node-1"), endpoint("10.244.2.2", "node-2")


def test_under_policy_cluster_every_node_announces() -> None:
    assert announced(balanced(), THERE) == {VIP, VIP6}
    assert announced(balanced()) == {VIP, VIP6}, "the node refuses, which is an answer"


def test_under_policy_local_those_nodes_announce_that_have_a_ready_endpoint() -> None:
    local = balanced(externalTrafficPolicy="Local")
    assert announced(local, HERE, THERE) == {VIP, VIP6}
    assert announced(local, HERE, THERE, node="node-2") == {VIP, VIP6}
    assert announced(local, HERE, node="node-2") == set()
    assert announced(local, endpoint("10.244.1.2", "node-1", **DRAINING), THERE) == set()


@pytest.mark.parametrize(
    "service",
    [
        balanced(loadBalancerClass="example.com/other"),
        balanced(loadBalancerClass="wellhead.dev/proxy"),
        balanced(type="NodePort"),
        balanced(ingress=()),
        balanced(ingress=({"ip": VIP, "ipMode": "Proxy"},)),
        balanced(ingress=({"hostname": "somewhere.example"},)),
    ],
)
def test_what_is_no_vip_of_ours_is_not_announced(service: Any) -> None:
    assert announced(service, HERE) == set()


def test_what_goes_is_withdrawn() -> None:
    found = Advertised("node-1")
    local = balanced(externalTrafficPolicy="Local")
    found.set_service(local)
    found.set_slice("default", "web-1", endpoint_slice(HERE))
    assert found.vips()
    found.set_slice("default", "web-1", None)
    assert not found.vips()
    found.set_slice("default", "web-1", endpoint_slice(HERE))
    found.set_service(local, gone=True)
    assert not found.vips()


PEERS = (Peer(ip_address("fd00::1"), 64512), Peer(ip_address("10.240.0.1"), 64512))
SESSION = Session(64513, IPv4Address("10.240.0.11"))


def test_birds_configuration_says_vips_to_peers_of_their_family_and_nothing_else() -> None:
    text = config(SESSION, PEERS, {ip_address(VIP6), ip_address("203.0.113.10"), ip_address(VIP)})
    assert text.index("route 203.0.113.7/32 unreachable;") < text.index("route 203.0.113.10/32 unreachable;")
    v4, v6 = text.index("protocol bgp peer_10_240_0_1"), text.index("protocol bgp peer_fd00__1")
    assert v4 < v6
    assert 'export where proto = "vips4";' in text[v4:v6]
    assert 'export where proto = "vips6";' in text[v6:]
    assert text.count("import none;") == 2
    assert "kernel" not in text
    assert text == config(
        SESSION, PEERS[::-1], [ip_address(VIP), ip_address(VIP6), ip_address("203.0.113.10")]
    )
    assert "bfd" not in text
    special = config(replace(SESSION, bfd=True, multihop=True, password="secret", port=1179), PEERS, ())
    for each in (
        "protocol bfd {}",
        "bfd on;",
        "multihop;",
        'password "secret";',
        "local port 1179 as 64513;",
    ):
        assert each in special


def test_a_node_is_told_from_others_by_its_address_or_else_by_its_name() -> None:
    assert router_id("node-1", [ip_address("fd00::1"), ip_address("10.240.0.11")]) == IPv4Address(
        "10.240.0.11"
    )
    assert router_id("node-1", []) == router_id("node-1", [ip_address("fd00::1")])
    assert router_id("node-1", []) != router_id("node-2", [])


PLAIN = Options(
    kubeconfig=None,
    node_name="node-1",
    asn=64513,
    peer=PEERS,
    router_id=None,
    node_address=ip_address("127.0.0.1"),
    hold_time=9,
    bfd=False,
    multihop=False,
    listen_port=179,
    password_file=None,
    bird=Path("/usr/sbin/bird"),
    image_dir=Path("/nowhere"),
    state_dir=Path("/run/wellhead/bgp"),
    healthz_bind_address=None,
)


def test_what_follows_from_the_options(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("a word\nignored\n")
    found = resolve(replace(PLAIN, password_file=file, peer=(*PEERS, PEERS[0])))
    assert found.session.password == "a word"
    assert found.peers == PEERS
    assert found.session.router_id == router_id("node-1", [])
    own = replace(PLAIN, node_address=ip_address("10.240.0.11"))
    assert resolve(own).session.router_id == IPv4Address("10.240.0.11")


@pytest.mark.parametrize("peer", ["fe80::1", "224.0.0.1", "0.0.0.0", "10.240.0.1"])
def test_peers_that_bird_would_refuse_later_are_refused(peer: str) -> None:
    given = (Peer(ip_address("10.240.0.1"), 64512), Peer(ip_address(peer), 64599))
    with pytest.raises(OptionError, match=f"--peer {peer}"):
        resolve(replace(PLAIN, peer=given))


@pytest.mark.parametrize("password", ["", 'a"b', "a\\b", "x" * 81])
def test_a_password_that_bird_would_misread_is_refused(tmp_path: Path, password: str) -> None:
    file = tmp_path / "password"
    file.write_text(password)
    with pytest.raises(OptionError, match="--password-file"):
        resolve(replace(PLAIN, password_file=file))


def test_bfd_is_for_neighbours() -> None:
    with pytest.raises(OptionError, match="--bfd"):
        resolve(replace(PLAIN, bfd=True, multihop=True))


def test_a_router_id_has_the_form_of_ipv4() -> None:
    with pytest.raises(OptionError, match="--router-id"):
        resolve(replace(PLAIN, router_id=ip_address("fd00::1")))


class FakeBird:
    """Answers at BIRD's socket."""

    def __init__(self, *replies: str) -> None:
        self._replies = list(replies)
        self.asked: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"0001 BIRD 2.0.12 ready.\n")
        self.asked.append((await reader.readline()).decode().strip())
        writer.write(self._replies.pop(0).encode())
        writer.close()


async def test_birds_answers_are_read(tmp_path: Path) -> None:
    sessions = (
        "2002-Name       Proto      Table      State  Since         Info\n"
        "1002-device1    Device     ---        up     23:28:01.143  \n"
        " peer_10_240_0_1 BGP        ---        up     23:28:03.411  Established   \n"
        " peer_fd00__1 BGP        ---        start  23:28:01.143  Active        Socket: Connection refused\n"
        " peer_10_240_0_2 BGP        ---        start  23:28:01.143  \n"
        " peer_10_240_0_3 BGP        ---        down   23:28:01.143  Error: Invalid remote address\n"
        "0000 \n"
    )
    fake = FakeBird(sessions, "8002 bird.conf:3:1 syntax error\n", "0002-Reading")
    server = await asyncio.start_unix_server(fake.answer, tmp_path / "bird.ctl")
    bird = Bird(Path("/nowhere"), tmp_path, lambda: None)
    async with server:
        assert await bird.sessions() == {
            "peer_10_240_0_1": "Established",
            "peer_fd00__1": "Active (Socket: Connection refused)",
            "peer_10_240_0_2": "Idle",
            "peer_10_240_0_3": "Error: Invalid remote address",
        }
        with pytest.raises(PlaneError, match="syntax error"):
            await bird.ask("configure")
        with pytest.raises(PlaneError, match="hung up"):
            await bird.ask("configure")
    assert fake.asked == ["show protocols", "configure", "configure"]
    with pytest.raises(PlaneError, match="no answer from BIRD"):
        await Bird(Path("/nowhere"), tmp_path / "else", lambda: None).ask("show status")

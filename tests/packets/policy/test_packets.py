"""What policies say, said of packets: a node with two pods, one of another node, and a client outside."""

from __future__ import annotations

import contextlib
import select
import socket
from ipaddress import ip_network
from typing import Any

import pytest

from tests.packets.policy.conftest import NETWORKS, Policies
from tests.packets.proxy.nftables_world import NftablesWorld
from tests.packets.proxy.world import (
    CLIENT,
    CLIENT6,
    NODE,
    NODE6,
    POD_A,
    POD_A6,
    POD_B,
    POD_B6,
    POD_FAR,
    POD_FAR6,
    TARGET_PORT,
    Answer,
    Client,
    Host,
    connect,
    dial,
)
from tests.patience import PATIENCE
from tests.unit.services.objects import endpoint, service_object, slice_object
from wellhead.linux.nftables.objects import Transaction
from wellhead.policy.enforcement import clean_up
from wellhead.services.endpointslice import parse_endpoint_slice
from wellhead.services.service import parse_service

pytestmark = pytest.mark.cluster

OF = {4: (POD_A, POD_B, POD_FAR, CLIENT, NODE), 6: (POD_A6, POD_B6, POD_FAR6, CLIENT6, NODE6)}
APP_A = {"matchLabels": {"app": "a"}}
families = pytest.mark.parametrize("family", [4, 6])
protocols = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])


def from_(**labels: str) -> dict[str, Any]:
    return {"from": [{"podSelector": {"matchLabels": labels}}]}


def denied(world: NftablesWorld, host: Host, address: str, *, source: str = "", udp: bool = False) -> bool:
    """Whether a question gets no answer, while another that was asked later, by the pod's node, got one."""
    with connect(host, address, TARGET_PORT, source=source, udp=udp) as client:
        return unanswered(world, client, address, udp=udp)


def unanswered(world: NftablesWorld, client: Client, address: str, *, udp: bool = False) -> bool:
    sock = client._socket
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect((address, TARGET_PORT))
    if udp:
        sock.send(b"?")
    near = world.node if address not in (POD_FAR, POD_FAR6) else world.other_node
    assert dial(near, address, TARGET_PORT, udp=udp).server == address
    return not any(select.select([sock], [] if udp else [sock], [], 0))


def echoing(host: Host) -> socket.socket:
    """Sends ICMP, and hears it."""
    found = host.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    found.settimeout(PATIENCE)
    return found


ECHO_REQUEST = bytes((8, 0, 0xF7, 0xFE, 0, 1, 0, 0))
"""With its checksum."""


@families
@protocols
def test_peers_that_are_selected_come_in_and_nobody_else(
    world: NftablesWorld, policies: Policies, family: int, udp: bool
) -> None:
    a, b, far, client, _ = OF[family]
    ports = [{"port": TARGET_PORT, "protocol": "UDP" if udp else "TCP"}]
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b") | {"ports": ports}])
    policies.apply()
    assert dial(world.pod_b, a, TARGET_PORT, udp=udp) == Answer(a, b)
    assert denied(world, world.other_node, a, source=far, udp=udp)
    assert denied(world, world.outside, a, source=client, udp=udp)
    assert denied(world, world.pod_b, a, udp=not udp)
    assert dial(world.pod_a, b, TARGET_PORT, udp=udp) == Answer(b, a)
    assert dial(world.pod_a, far, TARGET_PORT, udp=udp) == Answer(far, a)
    policies.pod("far", "node-2", POD_FAR, POD_FAR6, app="b")
    policies.apply()
    assert dial(world.other_node, a, TARGET_PORT, source=far, udp=udp) == Answer(a, far)
    assert "wellhead-policy" in world.node.run("nft list ruleset")


@families
def test_outside_clients_come_in_by_their_address(
    world: NftablesWorld, policies: Policies, family: int
) -> None:
    a, b, _, client, _ = OF[family]
    network = ip_network(client).supernet(new_prefix=24 if family == 4 else 64)
    policies.policy("a", podSelector={}, ingress=[{"from": [{"ipBlock": {"cidr": str(network)}}]}])
    policies.apply()
    assert dial(world.outside, a, TARGET_PORT, source=client) == Answer(a, client)
    assert denied(world, world.pod_b, a)
    block = {"cidr": str(network), "except": [str(ip_network(client))]}
    policies.policy("a", podSelector={}, ingress=[{"from": [{"ipBlock": block}]}])
    policies.apply()
    assert denied(world, world.outside, a, source=client)
    assert dial(world.node, b, TARGET_PORT).server == b


@families
def test_what_a_pod_may_dial(world: NftablesWorld, policies: Policies, family: int) -> None:
    a, b, far, _, _ = OF[family]
    policies.policy(
        "b",
        podSelector={"matchLabels": {"app": "b"}},
        policyTypes=["Egress"],
        egress=[{"to": [{"podSelector": {"matchLabels": {"app": "far"}}}], "ports": [{"port": "web"}]}],
    )
    policies.apply()
    assert dial(world.pod_b, far, TARGET_PORT) == Answer(far, b)
    assert denied(world, world.pod_b, a)
    assert dial(world.pod_a, b, TARGET_PORT) == Answer(b, a), "its answers are no dialling"
    ports = [{"port": 8000, "endPort": 9000}]
    policies.policy("b", podSelector={}, policyTypes=["Egress"], egress=[{"ports": ports}])
    policies.apply()
    assert dial(world.pod_b, a, TARGET_PORT) == Answer(a, b)


@families
def test_what_is_no_longer_allowed_stops_at_once(
    world: NftablesWorld, policies: Policies, family: int
) -> None:
    a, b, _, _, _ = OF[family]
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    with connect(world.pod_b, a, TARGET_PORT, udp=True) as flow:
        assert flow.ask() == Answer(a, b)
        policies.pod("b", "node-1", POD_B, POD_B6, app="other")
        policies.apply()
        assert unanswered(world, flow, a, udp=True)


@families
def test_a_reply_stops_with_what_it_replies_to(world: NftablesWorld, policies: Policies, family: int) -> None:
    """A server that pushes, and is asked nothing any more."""
    a, b, _, _, _ = OF[family]
    policies.policy("b", podSelector={"matchLabels": {"app": "b"}}, ingress=[from_(app="a")])
    policies.apply()
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    with (
        world.pod_b.inside(lambda: socket.socket(kind, socket.SOCK_DGRAM)) as server,
        world.pod_a.inside(lambda: socket.socket(kind, socket.SOCK_DGRAM)) as client,
    ):
        server.bind((b, 5000))
        client.bind((a, 5001))
        client.sendto(b"begin", (b, 5000))
        assert server.recvfrom(9)[1][:2] == (a, 5001)
        server.sendto(b"pushed", (a, 5001))
        assert client.recv(9) == b"pushed"
        policies.pod("a", "node-1", POD_A, POD_A6, app="other")
        policies.apply()
        server.sendto(b"pushed", (a, 5001))
        assert dial(world.node, a, TARGET_PORT).server == a
        assert not select.select([client], [], [], 0)[0]


def test_a_service_is_what_it_leads_to(world: NftablesWorld, policies: Policies) -> None:
    service = parse_service(service_object("web", cluster_ips=("10.0.0.10",)))
    slices = parse_endpoint_slice(slice_object(endpoint(POD_A, "node-1")))
    assert service is not None
    assert slices is not None
    world.program([service], [slices])
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    assert dial(world.pod_b, "10.0.0.10", 80) == Answer(POD_A, POD_B)
    assert dial(world.pod_a, "10.0.0.10", 80).server == POD_A, "a pod reaches itself"
    policies.pod("b", "node-1", POD_B, POD_B6, app="other")
    policies.apply()
    assert denied(world, world.pod_b, POD_A)
    world.program([], [])


@families
def test_errors_about_what_passes_arrive(world: NftablesWorld, policies: Policies, family: int) -> None:
    a, b, _, _, _ = OF[family]
    policies.policy("b", podSelector={"matchLabels": {"app": "b"}}, policyTypes=["Ingress"])
    policies.apply()
    with connect(world.pod_b, a, 9, udp=True) as client:
        client._socket.connect((a, 9))
        client._socket.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            client._socket.recv(9)
    assert dial(world.node, b, TARGET_PORT).server == b


def test_protocols_without_ports_pass_by_rules_without_ports_alone(
    world: NftablesWorld, policies: Policies
) -> None:
    ports = [{"protocol": "TCP"}, {"protocol": "UDP"}]
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b") | {"ports": ports}])
    policies.apply()
    assert dial(world.pod_b, POD_A, TARGET_PORT).server == POD_A
    with echoing(world.pod_b) as echo:
        echo.sendto(ECHO_REQUEST, (POD_A, 0))
        assert dial(world.pod_b, POD_A, TARGET_PORT).server == POD_A
        assert not select.select([echo], [], [], 0)[0]
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    with echoing(world.pod_b) as echo:
        echo.sendto(ECHO_REQUEST, (POD_A, 0))
        assert echo.recvfrom(100)[1][0] == POD_A


@families
def test_a_pod_that_is_not_known_is_cut_off_but_for_its_node(
    world: NftablesWorld, policies: Policies, family: int
) -> None:
    a, b, far, _, _ = OF[family]
    policies.known.set_pod(("shop", "a"), None)
    policies.enforcement.set_pod_networks(NETWORKS)
    policies.apply()
    assert denied(world, world.pod_b, a)
    assert denied(world, world.pod_a, far)
    assert dial(world.pod_b, far, TARGET_PORT) == Answer(far, b)
    policies.pod("a", "node-1", POD_A, POD_A6)
    policies.apply()
    assert dial(world.pod_b, a, TARGET_PORT) == Answer(a, b)


def test_at_a_nodes_start_nothing_passes_and_later_what_is_in_force_stays(
    world: NftablesWorld, policies: Policies
) -> None:
    assert world.node.await_(policies.enforcement.guard(NETWORKS))
    assert denied(world, world.pod_b, POD_A)
    policies.enforcement.set_pod_networks(NETWORKS)
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    before = world.node.run("nft -a list table ip wellhead-policy")
    policies.stop()
    assert dial(world.pod_b, POD_A, TARGET_PORT) == Answer(POD_A, POD_B)
    assert denied(world, world.other_node, POD_A, source=POD_FAR)
    policies.start()
    assert not world.node.await_(policies.enforcement.guard(NETWORKS))
    policies.cluster()
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.enforcement.set_pod_networks(NETWORKS)
    assert policies.apply() == 0, "it goes on from what is in force"
    assert world.node.run("nft -a list table ip wellhead-policy") == before


HARM = pytest.mark.parametrize(
    "harm",
    ["flush ruleset", "delete table ip wellhead-policy", "flush chain ip wellhead-policy ingress-first"],
)


@HARM
def test_nobody_else_can_change_or_flush_what_is_in_force(
    world: NftablesWorld, policies: Policies, harm: str
) -> None:
    if not policies.enforcement._link.can_own:
        pytest.skip("this kernel has no tables that belong to a process (Linux 6.9)")
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    before = world.node.run("nft -a list table ip wellhead-policy")
    with contextlib.suppress(AssertionError):  # nft says that it isn't permitted, or leaves it out
        world.node.run(f"nft {harm}")
    assert world.node.run("nft -a list table ip wellhead-policy") == before
    assert policies.apply() == 0
    policies.stop()
    policies.start()
    assert not world.node.await_(policies.enforcement.guard(NETWORKS)), "it stays, and is the next one's"
    with contextlib.suppress(AssertionError):
        world.node.run(f"nft {harm}")
    assert world.node.run("nft -a list table ip wellhead-policy") == before


def test_two_processes_cannot_enforce_at_once(world: NftablesWorld, policies: Policies) -> None:
    if not policies.enforcement._link.can_own:
        pytest.skip("this kernel has no tables that belong to a process (Linux 6.9)")
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    other = Policies(world)
    try:
        with pytest.raises(OSError, match="not permitted"):
            other.apply()
        with pytest.raises(OSError, match="not permitted"):
            world.node.inside(clean_up)
    finally:
        other.stop()
    assert policies.apply() == 0


def test_a_table_of_before_is_made_anew_as_ones_own(world: NftablesWorld, policies: Policies) -> None:
    policies.enforcement._link.__dict__["can_own"] = False
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    policies.stop()
    policies.start()
    policies.cluster()
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    assert denied(world, world.other_node, POD_A, source=POD_FAR)
    if policies.enforcement._link.can_own:
        world.node.run("nft flush ruleset")
        assert denied(world, world.other_node, POD_A, source=POD_FAR)


@HARM
def test_what_others_change_is_heard_of_and_put_back(
    world: NftablesWorld, policies: Policies, harm: str
) -> None:
    """Where they can: on older kernels."""
    policies.enforcement._link.__dict__["can_own"] = False
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    assert policies.apply() == 0
    world.node.run(f"nft {harm}")
    world.node.await_(policies.enforcement.disturbed())
    assert policies.apply() > 0
    assert denied(world, world.other_node, POD_A, source=POD_FAR)
    assert dial(world.pod_b, POD_A, TARGET_PORT) == Answer(POD_A, POD_B)


def test_one_pod_is_one_transaction(world: NftablesWorld, policies: Policies) -> None:
    policies.policy("a", podSelector={}, ingress=[from_(app="b")])
    policies.apply()
    policies.pod("far", "node-2", POD_FAR, POD_FAR6, app="b")
    changes = policies.known.take()
    for ruleset in policies.enforcement._rulesets.values():
        transaction = ruleset.update(changes)
        assert isinstance(transaction, Transaction)
        assert (len(transaction.add_elements), len(transaction.delete_elements)) == (1, 0)

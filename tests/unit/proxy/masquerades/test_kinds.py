"""Whose connections others' rules are held against, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from wellhead.ip import Family, IPNetwork
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.claims.ways import Way
from wellhead.proxy.masquerades import iptables
from wellhead.proxy.masquerades.kinds import kinds_of
from wellhead.proxy.masquerades.rules import BaseChain, judge
from wellhead.proxy.masquerades.watch import messages
from wellhead.services.node import (
    Detector,
    FromBridge,
    FromInterfacePrefix,
    FromNetwork,
    LocalNode,
    Ways,
)


def network(text: str) -> IPNetwork:
    return ip_network(text)


NODE = LocalNode(
    "node-1",
    addresses=(ip_address("10.240.0.11"),),
    pod_networks=(network("10.244.1.0/24"),),
    detectors=((Family.IPV4, FromNetwork(network("10.244.1.0/24"))),),
    ways=Ways(routed=(network("10.244.2.0/24"),)),
)
WAYS = [
    Way(network("10.244.1.2/32"), "cali1", by_others=False),
    Way(network("10.244.2.0/24"), "vxlan", by_others=True),
    Way(network("172.17.0.0/16"), "docker0", by_others=False),
]


def hidden(
    rule: str, node: LocalNode = NODE, ways: list[Way] = WAYS, claims: SourceClaims = "auto"
) -> set[tuple[str, bool]]:
    """Whom a rule hides, and whether the claims keep them visible."""
    chain = BaseChain(Family.IPV4, "x", 100, "P", iptables.read(f"-A P {rule} -j MASQUERADE"))
    return {(each.hides, each.kept) for each in judge([chain], kinds_of(node, claims, ways), 99)}


LOCAL = "clients outside under policy Local"
PODS, ARRIVING = "pods that dial Services", "other nodes' pods that dial Services"


def test_a_rule_is_held_against_the_interface_that_packets_leave_by() -> None:
    assert hidden("") == {(LOCAL, True), (PODS, True), (ARRIVING, True)}
    assert hidden("-o vxlan") == {(PODS, True)}
    assert hidden("-o cali+") == {(LOCAL, True), (PODS, True), (ARRIVING, True)}
    assert hidden("-o docker0") == hidden("-o eth0") == set()


def test_pods_are_not_taken_for_clients_outside() -> None:
    assert hidden("-s 10.244.0.0/16 -d 10.244.1.0/24") == {(PODS, True), (ARRIVING, True)}
    assert hidden("-s 10.240.0.11 -d 10.244.1.0/24") == set()
    assert hidden("-s 127.0.0.0/8") == set()
    assert hidden("-s 172.17.0.0/16 ! -o docker0") == {
        ("clients outside in 172.17.0.0/16 under policy Local", True)
    }


def test_pods_that_reach_themselves_are_nobodys_that_is_left_alone() -> None:
    assert hidden("-s 10.244.1.2/32 -d 10.244.1.2/32") == set()
    assert hidden("-s 10.244.1.2/32 -d 10.244.1.3/32") == {("pods in 10.244.1.2/32 that dial Services", True)}


def test_clients_that_are_to_be_preserved_are_held_against_it_too() -> None:
    returning = replace(NODE, returning=frozenset({"node-2"}))
    preserved = ("clients outside that are to be preserved", True)
    assert hidden("-d 10.244.2.0/24", returning) == {preserved, (PODS, True)}


def test_nobody_is_kept_without_claims_nor_pods_where_nobody_knows_the_way() -> None:
    assert {kept for _, kept in hidden("", claims="none")} == {False}
    nowhere = replace(NODE, ways=Ways())
    assert hidden("! -d 10.244.1.0/24", nowhere, WAYS[:1]) == {(PODS, False)}
    assert hidden("! -d 10.244.1.0/24", nowhere, WAYS[:1], "all") == {(PODS, True)}


def test_a_node_without_pod_networks_has_the_pods_that_its_routes_name() -> None:
    cloud = replace(NODE, pod_networks=(), detectors=((Family.IPV4, FromInterfacePrefix("cali")),))
    assert (LOCAL, True) in hidden("", cloud)
    assert (LOCAL, True) in hidden("-d 10.244.1.2", cloud)
    assert hidden("-d 10.244.1.3", cloud) == set()


def test_pods_are_behind_the_interfaces_that_tell_them() -> None:
    def detecting(detector: Detector) -> LocalNode:
        return replace(NODE, pod_networks=(), detectors=((Family.IPV4, detector),))

    bridge = Way(network("10.22.0.0/24"), "cni0", by_others=False)
    for detector in (FromBridge("cni0"), FromInterfacePrefix("cni")):
        node = detecting(detector)
        assert (LOCAL, True) in hidden("-d 10.22.0.9", node, [*WAYS, bridge])
        assert hidden("-d 172.17.0.9", node, [*WAYS, bridge]) == set()


def test_pods_out_of_their_nodes_network_are_where_routes_lead() -> None:
    calico = replace(NODE, cluster_networks=(network("10.244.0.0/16"),))
    ways = [Way(network("10.244.77.65/32"), "cali9", by_others=False), *WAYS[1:]]
    assert (LOCAL, True) in hidden("-d 10.244.77.65", calico, ways)
    assert (LOCAL, True) not in hidden("-o eth0", calico, ways)


def test_a_rule_with_many_addresses_is_told_by_its_beginning() -> None:
    rule = f"-A P -m comment --comment {'x' * 5000} -j MASQUERADE"
    chain = BaseChain(Family.IPV4, "iptables-nft", 100, "P", iptables.read(rule))
    [(_, text)] = messages("node-1", judge([chain], kinds_of(NODE, "auto", WAYS), 99))
    assert len(text) < 700
    assert "xxx…: would hide" in text


def test_a_rule_is_told_once() -> None:
    chain = BaseChain(Family.IPV4, "iptables-nft", 100, "P", iptables.read("-A P -j MASQUERADE"))
    [(bad, text)] = messages("node-1", judge([chain], kinds_of(NODE, "auto", WAYS), 99))
    assert not bad
    assert text == (
        "node node-1: iptables-nft: -A P -j MASQUERADE: would hide pods that dial Services, "
        "other nodes' pods that dial Services, clients outside under policy Local behind this node's "
        "address; the proxy keeps them visible"
    )

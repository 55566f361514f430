"""The chains that a Service port compiles to, read as an operator would read them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.unit.services.objects import endpoint, endpoint_slice, node, service
from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.ip import Family, Protocol
from wellhead.proxy.backends.iptables import names
from wellhead.proxy.backends.iptables.node_rules import NodeRulesConfig
from wellhead.proxy.backends.iptables.port_rules import Chain
from wellhead.proxy.backends.iptables.ruleset import Ruleset, RulesetConfig
from wellhead.proxy.marks import Marks
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import PortKey
from wellhead.services.node import FromBridge, FromInterfacePrefix, LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service_map import service_map

HERE = endpoint("10.244.1.2", "node-1")
THERE = endpoint("10.244.2.2", "node-2")
OF_A_PORT = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
NODE_PORT = ({"port": 80, "nodePort": 30080},)


def ruleset(
    *endpoints: Any,
    on: LocalNode | None = None,
    config: RulesetConfig | None = None,
    family: Family = Family.IPV4,
    **spec: Any,
) -> Ruleset:
    ipv6 = family is Family.IPV6
    slices = [endpoint_slice(*endpoints, family="IPv6" if ipv6 else "IPv4")] if endpoints else []
    if ipv6:
        spec.setdefault("cluster_ips", ("fd00:10::1",))
    found = Ruleset(family, config)
    found.update(NodeView(service_map([service(**spec)], slices), on or node()).update())
    return found


def rules(found: Ruleset, table: str, prefix: str) -> list[str]:
    """The rules of the chains whose name starts so, without the hashes and `-A`."""
    lines = [
        line
        for chain in sorted(found.chains())
        if chain.table == table and chain.name.startswith(prefix)
        for line in found.rules(chain) or ()
    ]
    port = PortKey(Family.IPV4, "default", "web", "")
    hashed = names.external_chain(port, Protocol.TCP).removeprefix("KUBE-EXT")
    return [line.replace(hashed, "").removeprefix("-A ") for line in lines]


PRESERVING: dict[str, Any] = {
    "type": "NodePort",
    "ports": NODE_PORT,
    "annotations": {PRESERVE_CLIENT_IP_ANNOTATION: "true"},
}
INSIDE = tuple(ip_network(each) for each in ("10.240.0.11", "10.244.0.0/24", "10.244.1.0/24", "fd00::/64"))


def test_clients_outside_keep_their_address_towards_endpoints_whose_replies_come_back() -> None:
    found = ruleset(
        HERE,
        endpoint("10.244.3.2", "node-3"),
        on=node(returning=frozenset({"node-2"}), inside=INSIDE),
        **PRESERVING,
    )
    pods, route_pods, local, route_local, preserve, balance = rules(found, "nat", "KUBE-EXT-")
    assert pods.endswith("-j KUBE-MARK-MASQ"), route_pods
    assert local.endswith("-j KUBE-MARK-MASQ"), route_local
    assert preserve.endswith("-j KUBE-MARK-PRESERVE")
    assert balance == "KUBE-EXT -j KUBE-SVC"
    first, second, otherwise = rules(found, "nat", "KUBE-MARK-PRESERVE")
    assert (
        first
        == 'KUBE-MARK-PRESERVE -s 10.240.0.11/32 -m comment --comment "inside the cluster" -g KUBE-MARK-MASQ'
    )
    assert "-s 10.244.0.0/23" in second
    assert otherwise == "KUBE-MARK-PRESERVE -j MARK --set-xmark 0x10000000/0x10000000"
    assert rules(found, "nat", "KUBE-POSTROUTING")[0] == "KUBE-POSTROUTING -j MARK --set-xmark 0x0/0x10000000"
    fallbacks = [each for each in rules(found, "nat", "KUBE-SEP-") if "would not come back" in each]
    assert len(fallbacks) == 1
    assert fallbacks[0].endswith("-m mark --mark 0x10000000/0x10000000 -j KUBE-MARK-MASQ")


def test_nothing_of_it_is_there_before_or_after_a_service_asks() -> None:
    on = node(inside=INSIDE)
    plain = ruleset(HERE, on=on, type="NodePort", ports=NODE_PORT)
    cluster = service_map([service(**PRESERVING)], [endpoint_slice(HERE)])
    view = NodeView(cluster, on)
    found = Ruleset(Family.IPV4)
    found.update(view.update())
    assert rules(found, "nat", "KUBE-MARK-PRESERVE")
    assert names.is_ours("KUBE-MARK-PRESERVE"), "it goes with --cleanup"
    again = service(type="NodePort", ports=NODE_PORT)
    cluster.set_service(again.key, again)
    found.update(view.update())
    chains = {each: plain.rules(each) for each in plain.chains()}
    assert {each: found.rules(each) for each in found.chains()} == chains
    assert found.take_changed() >= {
        each for each in chains if each.name in ("KUBE-POSTROUTING", "KUBE-FORWARD")
    }


def test_chain_names_are_kube_proxys() -> None:
    port = PortKey(Family.IPV4, "ns1", "svc1", "p80")
    assert names.cluster_policy_chain(port, Protocol.TCP) == "KUBE-SVC-XPGD46QRK7WJZT7O"
    endpoint_address = EndpointAddress(ip_address("10.180.0.1").packed, 80)
    assert names.endpoint_chain(port, Protocol.TCP, endpoint_address) == "KUBE-SEP-SXIVWICOYRO3J4NJ"


def test_a_cluster_ip_leads_to_its_endpoints() -> None:
    found = ruleset(HERE, THERE)
    assert rules(found, "nat", "KUBE-SERVICES")[0] == (
        'KUBE-SERVICES -d 10.0.0.10/32 -p tcp -m comment --comment "default/web cluster IP" '
        "-m tcp --dport 80 -j KUBE-SVC"
    )
    masquerade, first, second = rules(found, "nat", "KUBE-SVC-")
    assert masquerade == (
        'KUBE-SVC ! -s 10.244.1.0/24 -d 10.0.0.10/32 -p tcp -m comment --comment "default/web cluster IP" '
        "-m tcp --dport 80 -j KUBE-MARK-MASQ"
    )
    assert '"default/web -> 10.244.1.2:8080" -m statistic --mode random --probability 0.50000000000' in first
    assert "statistic" not in second
    hairpin, translate = rules(ruleset(HERE), "nat", "KUBE-SEP-")
    assert "-s 10.244.1.2/32" in hairpin
    assert hairpin.endswith("-j KUBE-MARK-MASQ")
    assert translate.endswith("-m tcp -j DNAT --to-destination 10.244.1.2:8080")
    assert rules(found, "filter", "KUBE-SERVICES") == []


def test_endpoints_share_the_traffic_evenly() -> None:
    found = ruleset(*(endpoint(f"10.244.1.{each}") for each in range(2, 5)))
    chances = [line.partition("--probability ")[2].split()[:1] for line in rules(found, "nat", "KUBE-SVC-")]
    assert chances == [[], ["0.33333333349"], ["0.50000000000"], []]


@pytest.mark.parametrize(
    ("detector", "match"),
    [
        (FromBridge("cbr0"), "-d 10.0.0.10/32 ! -i cbr0 -p tcp"),
        (FromInterfacePrefix("cali"), "-d 10.0.0.10/32 ! -i cali+ -p tcp"),
    ],
)
def test_local_pods_are_recognised_by_interface(detector: Any, match: str) -> None:
    found = ruleset(HERE, on=LocalNode("node-1", detectors=((Family.IPV4, detector),)))
    assert match in rules(found, "nat", "KUBE-SVC-")[0]


def test_without_a_detector_no_cluster_ip_traffic_is_masqueraded() -> None:
    assert len(rules(ruleset(HERE, on=node(detects=False)), "nat", "KUBE-SVC-")) == 1


def test_masquerade_all_masquerades_whoever_dials_a_cluster_ip() -> None:
    first = rules(ruleset(HERE, on=node(masquerade_all=True)), "nat", "KUBE-SVC-")[0]
    assert first.startswith("KUBE-SVC -d 10.0.0.10/32")
    assert first.endswith("-j KUBE-MARK-MASQ")


def test_a_node_port_under_cluster_is_masqueraded() -> None:
    found = ruleset(THERE, type="NodePort", ports=NODE_PORT)
    assert rules(found, "nat", "KUBE-NODEPORTS") == [
        'KUBE-NODEPORTS -p tcp -m comment --comment "default/web" -m tcp --dport 30080 -j KUBE-EXT'
    ]
    assert rules(found, "nat", "KUBE-EXT-") == [
        'KUBE-EXT -m comment --comment "masquerade traffic for default/web external destinations" '
        "-j KUBE-MARK-MASQ",
        "KUBE-EXT -j KUBE-SVC",
    ]


def test_a_node_port_under_local_short_circuits_inside_traffic() -> None:
    found = ruleset(HERE, THERE, type="NodePort", ports=NODE_PORT, externalTrafficPolicy="Local")
    pods, masquerade, route, outside = rules(found, "nat", "KUBE-EXT-")
    assert pods.startswith("KUBE-EXT -s 10.244.1.0/24")
    assert pods.endswith("-j KUBE-SVC")
    assert masquerade.endswith("-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ")
    assert route.endswith("-m addrtype --src-type LOCAL -j KUBE-SVC")
    assert outside == "KUBE-EXT -j KUBE-SVL"
    assert len(rules(found, "nat", "KUBE-SVL-")) == 1


def test_outside_traffic_under_local_is_dropped_where_no_endpoint_is() -> None:
    found = ruleset(
        THERE,
        type="LoadBalancer",
        ports=NODE_PORT,
        externalTrafficPolicy="Local",
        ingress=({"ip": "203.0.113.1"},),
    )
    led_on, *refused = rules(found, "filter", "KUBE-EXTERNAL-SERVICES")
    assert led_on.endswith("-m mark --mark 0x40000000/0xffffc000 -j RETURN")  # by a speaker on this node
    assert refused == [
        'KUBE-EXTERNAL-SERVICES -d 203.0.113.1/32 -p tcp -m comment --comment "default/web has no local '
        'endpoints" -m tcp --dport 80 -j DROP',
        'KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "default/web has no local endpoints" '
        "-m addrtype --dst-type LOCAL -m tcp --dport 30080 -j DROP",
    ]
    assert len(rules(found, "nat", "KUBE-EXT-")) == 3


def test_without_endpoints_every_frontend_is_refused_and_no_chain_is_left() -> None:
    found = ruleset(
        type="LoadBalancer", ports=NODE_PORT, externalIPs=["198.18.0.1"], ingress=({"ip": "203.0.113.1"},)
    )
    external = rules(found, "filter", "KUBE-EXTERNAL-SERVICES")[1:]  # behind what a speaker leads elsewhere
    refusals = rules(found, "filter", "KUBE-SERVICES") + external
    assert len(refusals) == 4
    assert all(line.endswith("-j REJECT --reject-with icmp-port-unreachable") for line in refusals)
    assert not [chain for chain in found.chains() if chain.name.startswith(OF_A_PORT)]


def test_source_ranges_guard_the_load_balancer_ip_alone() -> None:
    found = ruleset(
        HERE,
        type="LoadBalancer",
        ports=NODE_PORT,
        externalIPs=["198.18.0.1"],
        ingress=({"ip": "203.0.113.1"},),
        loadBalancerSourceRanges=["198.51.100.0/24"],
    )
    _, external, balanced, _ = rules(found, "nat", "KUBE-SERVICES")
    assert external.endswith("-j KUBE-EXT")
    assert balanced.endswith("-j KUBE-FW")
    allowed, last = rules(found, "nat", "KUBE-FW-")
    assert allowed.startswith("KUBE-FW -s 198.51.100.0/24")
    assert "-j" not in last
    assert rules(found, "filter", "KUBE-PROXY-FIREWALL")[2:] == [
        "KUBE-PROXY-FIREWALL -d 203.0.113.1/32 -p tcp -m comment --comment "
        '"default/web traffic not accepted by KUBE-FW" -m tcp --dport 80 -j DROP'
    ]


def test_affinity_is_a_list_of_recent_clients_per_endpoint() -> None:
    config = {"clientIP": {"timeoutSeconds": 60}}
    found = ruleset(HERE, THERE, sessionAffinity="ClientIP", sessionAffinityConfig=config)
    known = [line for line in rules(found, "nat", "KUBE-SVC-") if "-m recent" in line]
    assert len(known) == 2
    assert all("--rcheck --seconds 60 --reap --name KUBE-SEP-" in line for line in known)
    assert sum("-m recent --set --name KUBE-SEP-" in line for line in rules(found, "nat", "KUBE-SEP-")) == 2


def test_ipv6_rules_are_ipv6() -> None:
    found = ruleset(endpoint("fd00:10:244:1::2"), family=Family.IPV6, type="NodePort", ports=NODE_PORT)
    assert any(
        "--to-destination [fd00:10:244:1::2]:8080" in line for line in rules(found, "nat", "KUBE-SEP-")
    )
    assert rules(found, "nat", "KUBE-SERVICES")[-1].startswith("KUBE-SERVICES ! -d ::1/128 ")
    assert not any("DROP" in line for line in rules(found, "filter", "KUBE-PROXY-FIREWALL"))
    empty = ruleset(family=Family.IPV6)
    assert rules(empty, "filter", "KUBE-SERVICES")[0].endswith("--reject-with icmp6-port-unreachable")


def test_node_ports_are_looked_at_last_and_on_every_local_address() -> None:
    assert rules(ruleset(), "nat", "KUBE-SERVICES")[-1] == (
        'KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule '
        'in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    )


def test_node_port_addresses_narrow_node_ports() -> None:
    config = RulesetConfig(node_port_addresses=(ip_network("10.240.0.0/24"),))
    last = rules(ruleset(config=config), "nat", "KUBE-SERVICES")[-1]
    assert last.startswith("KUBE-SERVICES -d 10.240.0.0/24 ")
    refused = rules(
        ruleset(config=config, type="NodePort", ports=NODE_PORT), "filter", "KUBE-EXTERNAL-SERVICES"
    )
    assert refused[1].startswith("KUBE-EXTERNAL-SERVICES -d 10.240.0.0/24 -p tcp ")


def test_primary_node_port_addresses_are_the_nodes_first() -> None:
    config = RulesetConfig(node_port_addresses="primary")
    on = node(addresses=(ip_address("10.240.0.11"), ip_address("10.250.0.11")))
    last = rules(ruleset(config=config, on=on), "nat", "KUBE-SERVICES")[-1]
    assert last.startswith("KUBE-SERVICES -d 10.240.0.11/32 ")


def test_no_node_port_answers_while_the_primary_address_is_not_known() -> None:
    found = ruleset(config=RulesetConfig(node_port_addresses="primary"), on=node(addresses=()))
    assert not any("NODEPORTS" in each for each in rules(found, "nat", "KUBE-SERVICES"))


def test_node_ports_keep_off_loopback_when_told() -> None:
    config = RulesetConfig(node=NodeRulesConfig(localhost_node_ports=False))
    assert rules(ruleset(config=config), "nat", "KUBE-SERVICES")[-1].startswith(
        "KUBE-SERVICES ! -d 127.0.0.0/8 "
    )
    firewall = rules(ruleset(config=config), "filter", "KUBE-PROXY-FIREWALL")
    assert not any("DROP" in line for line in firewall)


def test_the_masquerade_mark_is_one_bit_of_choice() -> None:
    config = RulesetConfig(node=NodeRulesConfig(Marks(1 << 3)))
    found = ruleset(config=config)
    assert found.rules(Chain("nat", "KUBE-MARK-MASQ")) == ("-A KUBE-MARK-MASQ -j MARK --set-xmark 0x8/0x8",)


@pytest.mark.parametrize("drop", [True, False])
def test_invalid_packets_are_dropped_unless_conntrack_is_liberal(drop: bool) -> None:
    found = ruleset(HERE, config=RulesetConfig(NodeRulesConfig(drop_invalid=drop)))
    dropped = "KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP"
    assert (dropped in rules(found, "filter", "KUBE-FORWARD")) is drop


def test_the_health_check_port_is_let_in() -> None:
    found = ruleset(HERE, type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32122)
    assert rules(found, "filter", "KUBE-NODEPORTS") == [
        'KUBE-NODEPORTS -p tcp -m comment --comment "default/web health check node port" '
        "-m tcp --dport 32122 -j ACCEPT"
    ]

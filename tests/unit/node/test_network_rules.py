"""The node's nftables table and its routes, as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.node import pods
from wellhead.ip import IPNetwork
from wellhead.node.network.host_ports import HostPort, HostPortTaken
from wellhead.node.network.routes import Routes, Wanted
from wellhead.node.network.rules import NodeRules
from wellhead.node.network.ruleset import PodEnd, changed, whole
from wellhead.node.pods.sandbox import host_ports

POD_CIDR = IPv4Network("10.244.1.0/24")
POD_CIDR_6 = IPv6Network("fd00:10:244:1::/64")
INSIDE = (IPv4Network("10.244.0.0/16"), IPv4Network("10.240.0.0/24"))


def _node(name: str, address: str | None, cidr: str | None) -> dict[str, Any]:
    addresses = [{"type": "ExternalIP", "address": "192.0.2.1"}]
    if address:
        addresses.append({"type": "InternalIP", "address": address})
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {},
        "status": {"addresses": addresses},
    }


def test_only_what_leaves_the_cluster_is_masqueraded() -> None:
    text = whole([POD_CIDR], INSIDE)
    assert "elements = { 10.244.0.0/16, 10.240.0.0/24 }" in text
    assert "ip saddr 10.244.1.0/24 ip daddr != @inside" in text


def test_the_table_is_replaced_in_one_transaction() -> None:
    text = whole([POD_CIDR, POD_CIDR_6], INSIDE)
    for family in ("arp", "ip", "ip6"):
        replaced = f"add table {family} wellhead-node\ndelete table {family} wellhead-node\ntable {family} "
        assert text.count(replaced) == 1


def test_a_host_port_leads_to_its_pod_on_all_addresses_or_one() -> None:
    pod = IPv4Address("10.244.1.7")
    ports = {
        HostPort("tcp", 80, None, pod, 8080),
        HostPort("udp", 53, IPv4Address("10.240.0.11"), pod, 5353),
    }
    text = whole([POD_CIDR], INSIDE, [PodEnd("veth7", (pod,), frozenset(ports))])
    assert "elements = { tcp . 80 : 10.244.1.7 . 8080 }" in text
    assert "elements = { 10.240.0.11 . udp . 53 : 10.244.1.7 . 5353 }" in text
    assert "elements = { 10.244.1.7 . 10.244.1.7 }" in text


def test_each_family_has_a_table_with_what_is_its_own() -> None:
    ports = [HostPort("tcp", 80, None, ip_address(pod), 8080) for pod in ("10.244.1.7", "fd00:10:244:1::7")]
    pod = PodEnd("veth7", tuple(port.pod_ip for port in ports), frozenset(ports))
    text = whole([POD_CIDR, POD_CIDR_6], [*INSIDE, IPv6Network("fd00:10:244::/48")], [pod])
    four, _, six = text.partition("add table ip6 wellhead-node\n")
    assert "elements = { tcp . 80 : 10.244.1.7 . 8080 }" in four
    assert "fd00" not in four
    assert "elements = { tcp . 80 : fd00:10:244:1::7 . 8080 }" in six
    assert "ip6 saddr fd00:10:244:1::/64 ip6 daddr != @inside" in six
    assert "10.2" not in six


@pytest.mark.parametrize(
    ("host_ip", "families"),
    [("", {4, 6}), ("0.0.0.0", {4}), ("::", {6}), ("10.240.0.11", {4}), ("fd00:10:240::11", {6})],
)
def test_a_host_port_is_of_its_host_ips_family_or_of_all(host_ip: str, families: set[int]) -> None:
    port = {"containerPort": 8080, "hostPort": 80} | ({"hostIP": host_ip} if host_ip else {})
    pod = pods.pod(pods.container("main", ports=[port]))
    found = host_ports(pod, [ip_address("10.244.1.7"), ip_address("fd00:10:244:1::7")])
    assert {each.pod_ip.version for each in found} == families
    assert {each.host_ip is None for each in found} == {host_ip in ("", "0.0.0.0", "::")}


def wanted(nodes: Iterable[dict[str, Any]], own_name: str, own_cidrs: Sequence[IPNetwork]) -> Routes:
    routes = Wanted(own_name, own_cidrs)
    for node in nodes:
        routes.change(None, node)
    return routes.routes


def test_routes_go_by_both_families_that_the_node_has_itself() -> None:
    node = _node("node-2", "10.240.0.12", None)
    node["spec"] = {"podCIDRs": ["10.244.2.0/24", "fd00:10:244:2::/64"]}
    node["status"]["addresses"].append({"type": "InternalIP", "address": "fd00:10:240::12"})
    two, two_6 = IPv4Network("10.244.2.0/24"), IPv6Network("fd00:10:244:2::/64")
    assert wanted([node], "node-1", [POD_CIDR, POD_CIDR_6]) == {
        POD_CIDR: None,
        POD_CIDR_6: None,
        two: IPv4Address("10.240.0.12"),
        two_6: IPv6Address("fd00:10:240::12"),
    }
    assert wanted([node], "node-1", [POD_CIDR]) == {POD_CIDR: None, two: IPv4Address("10.240.0.12")}


def test_routes_lead_to_other_nodes_pods_and_nowhere_for_unused_addresses_of_our_own() -> None:
    nodes = [
        _node("node-1", "10.240.0.11", "10.244.1.0/24"),
        _node("node-2", "10.240.0.12", "10.244.2.0/24"),
        _node("no-address-yet", None, "10.244.3.0/24"),
        _node("no-cidr-yet", "10.240.0.14", None),
    ]
    assert wanted(nodes, "node-1", [POD_CIDR]) == {
        POD_CIDR: None,
        IPv4Network("10.244.2.0/24"): IPv4Address("10.240.0.12"),
    }


_names = st.sampled_from(["node-1", "node-2", "node-3", "node-4"])
_addresses = st.sampled_from([None, "10.240.0.12", "10.240.0.13"])
_cidrs = st.sampled_from([None, "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"])


@given(st.lists(st.tuples(_names, st.none() | st.tuples(_addresses, _cidrs)), max_size=12))
def test_routes_by_difference_are_those_of_all_nodes_at_once(
    changes: list[tuple[str, tuple[str | None, str | None] | None]],
) -> None:
    nodes: dict[str, dict[str, Any]] = {}
    routes = Wanted("node-1", [POD_CIDR])
    for name, said in changes:
        old, new = nodes.pop(name, None), _node(name, *said) if said is not None else None
        if new is not None:
            nodes[name] = new
        if old is None and new is None:
            continue
        before = dict(routes.routes)
        told = routes.change(old, new)
        after = wanted(nodes.values(), "node-1", [POD_CIDR])
        assert routes.routes == after
        assert told == {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}


def test_one_pods_change_is_its_own_elements_alone() -> None:
    pod = ip_address("10.244.1.7")
    bare = PodEnd("veth7", (pod,))
    serving = PodEnd("veth7", (pod,), frozenset({HostPort("tcp", 80, None, pod, 8080)}))
    assert changed(None, bare) == (
        'add element arp wellhead-node pod-addresses { "veth7" . 10.244.1.7 }\n'
        'add element ip wellhead-node pod-addresses { "veth7" . 10.244.1.7 }\n'
    )
    assert changed(bare, serving) == (
        "add element ip wellhead-node hairpins { 10.244.1.7 . 10.244.1.7 }\n"
        "add element ip wellhead-node host-ports { tcp . 80 : 10.244.1.7 . 8080 }\n"
    )
    assert changed(serving, None).count("delete element") == 4
    assert changed(serving, serving) == ""


def _port(number: int, host_ip: str | None, pod: str, protocol: str = "tcp") -> HostPort:
    return HostPort(protocol, number, ip_address(host_ip) if host_ip else None, ip_address(pod), 8080)


@pytest.mark.parametrize(
    ("wanted_port", "in_the_way"),
    [
        (_port(80, None, "10.244.1.8"), True),
        (_port(80, "10.240.0.11", "10.244.1.8"), True),
        (_port(80, "127.0.0.1", "10.244.1.8"), False),
        (_port(81, None, "10.244.1.8"), False),
        (_port(80, None, "10.244.1.8", "udp"), False),
        (_port(80, None, "fd00:10:244:1::8"), False),
    ],
)
async def test_host_ports_conflict_by_address_protocol_and_port(
    monkeypatch: pytest.MonkeyPatch, wanted_port: HostPort, in_the_way: bool
) -> None:
    written: list[str] = []

    async def load(_: NodeRules, text: str) -> None:
        written.append(text)

    monkeypatch.setattr(NodeRules, "_load", load)
    rules = NodeRules([POD_CIDR], INSIDE)
    await rules.admit("first", "veth7", [ip_address("10.244.1.7")])
    await rules.set_host_ports("first", frozenset({_port(80, "10.240.0.11", "10.244.1.7")}))
    await rules.admit("second", "veth8", [ip_address("10.244.1.8")])
    before = list(written)
    if in_the_way:
        with pytest.raises(HostPortTaken, match=r"TCP port 80 of 10.240.0.11 leads to the pod 10.244.1.7"):
            await rules.set_host_ports("second", frozenset({wanted_port}))
        assert written == before
        await rules.dismiss("first")
    await rules.set_host_ports("second", frozenset({wanted_port}))
    assert "host" in written[-1]
    assert written[-1].count("add element") == 2

"""The node's nftables table and its routes, as values."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.network.routes import wanted
from wellhead.node.network.rules import HostPort, NodeRules, ruleset
from wellhead.node.pods.sandbox import host_ports
from wellhead.node.runtime import commands
from wellhead.node.runtime.commands import CommandFailed

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
    text = ruleset([POD_CIDR], INSIDE)
    assert "elements = { 10.244.0.0/16, 10.240.0.0/24 }" in text
    assert "ip saddr 10.244.1.0/24 ip daddr != @inside" in text


def test_the_table_is_replaced_in_one_transaction() -> None:
    assert ruleset([POD_CIDR], INSIDE).startswith(
        "add table ip wellhead-node\ndelete table ip wellhead-node\n"
    )


def test_a_host_port_leads_to_its_pod_on_all_addresses_or_one() -> None:
    pod = IPv4Address("10.244.1.7")
    text = ruleset(
        [POD_CIDR],
        INSIDE,
        [HostPort("tcp", 80, None, pod, 8080), HostPort("udp", 53, IPv4Address("10.240.0.11"), pod, 5353)],
    )
    assert "elements = { tcp . 80 : 10.244.1.7 . 8080 }" in text
    assert "elements = { 10.240.0.11 . udp . 53 : 10.244.1.7 . 5353 }" in text
    assert "elements = { 10.244.1.7 . 10.244.1.7 }" in text


def test_each_family_has_a_table_with_what_is_its_own() -> None:
    ports = [HostPort("tcp", 80, None, ip_address(pod), 8080) for pod in ("10.244.1.7", "fd00:10:244:1::7")]
    text = ruleset([POD_CIDR, POD_CIDR_6], [*INSIDE, IPv6Network("fd00:10:244::/48")], ports)
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


async def test_refused_host_ports_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    async def nft(*_: str, stdin: bytes) -> str:
        text = stdin.decode()
        if text.count("tcp . 80") > 1:
            raise CommandFailed("nft", 1, "conflicting intervals")
        written.append(text)
        return ""

    monkeypatch.setattr(commands, "run", nft)
    rules = NodeRules([POD_CIDR], INSIDE)
    port = HostPort("tcp", 80, None, IPv4Address("10.244.1.7"), 8080)
    await rules.set_host_ports("first", frozenset({port}))
    with pytest.raises(CommandFailed):
        await rules.set_host_ports(
            "second", frozenset({HostPort("tcp", 80, None, IPv4Address("10.244.1.8"), 1)})
        )
    await rules.set_host_ports("first", frozenset())
    assert "10.244.1" not in written[-1].partition("map host-ports")[2].partition("chain")[0]

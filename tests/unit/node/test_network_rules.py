"""The node's nftables table and its routes, as values."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from wellhead.node.network.routes import wanted
from wellhead.node.network.rules import HostPort, NodeRules, ruleset
from wellhead.node.runtime import commands
from wellhead.node.runtime.commands import CommandFailed

POD_CIDR = IPv4Network("10.244.1.0/24")
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

"""Bridges that hide pods' packets from netfilter, and those that don't."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from wellhead.policy.bridges import Bridge, unseen

NETWORKS = ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64")
ADDRESSES = ip_address("10.244.1.1"), ip_address("fd00:10:244:1::1")


def test_without_bridges_everything_is_seen() -> None:
    assert unseen(NETWORKS, []) is None


def test_a_bridge_among_the_pods_must_show_its_packets() -> None:
    said = unseen(NETWORKS, [Bridge("cni0", ADDRESSES)])
    assert said is not None
    assert said.startswith(
        "the pods of 10.244.1.0/24 are on bridge cni0, and net.bridge.bridge-nf-call-iptables isn't 1"
    )
    assert "`modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1`" in said


def test_each_family_has_a_setting_of_its_own() -> None:
    said = unseen(NETWORKS, [Bridge("cni0", ADDRESSES, frozenset({4}))])
    assert said is not None
    assert "net.bridge.bridge-nf-call-ip6tables" in said
    assert unseen(NETWORKS, [Bridge("cni0", ADDRESSES, frozenset({4, 6}))]) is None


def test_a_bridge_of_others_does_not_matter() -> None:
    docker = Bridge("docker0", (ip_address("172.17.0.1"), ip_address("fe80::1")))
    assert unseen(NETWORKS, [docker, Bridge("br0", ())]) is None

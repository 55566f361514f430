"""Blocks of addresses that pod networks give nodes besides their podCIDRs."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network

from tests.unit.proxy.symmetric_return.nodes import node
from wellhead.proxy.symmetric_return.announcement import announcement, encode, only_loses, parse
from wellhead.proxy.symmetric_return.nodes import NodeFacts, with_blocks

LINKS = {ip_address("10.240.0.12"): "02:00:00:00:00:02"}


def saying(number: int, *blocks: str) -> NodeFacts:
    said = announcement(LINKS, None, [ip_network(each) for each in blocks])
    return dataclasses.replace(node(number), announced=said)


def added(facts: NodeFacts, number: int) -> list[str]:
    return [str(each) for each in facts.pod_networks if each not in node(number).pod_networks]


def test_a_block_counts_for_one_node() -> None:
    mine = [ip_network("192.168.1.0/26")]
    me, others = with_blocks(
        node(1),
        mine,
        [saying(3, "192.168.2.0/26", "192.168.3.0/26"), saying(2, "192.168.1.0/27", "192.168.2.0/26")],
    )
    assert added(me, 1) == ["192.168.1.0/26"]
    found = {each.name: each for each in others}
    assert added(found["node-2"], 2) == ["192.168.2.0/26"], "the other one is this node's"
    assert added(found["node-3"], 3) == ["192.168.3.0/26"], "the other one is node-2's"


def test_nobody_takes_what_is_anothers_by_its_node_object() -> None:
    _, [other] = with_blocks(node(1), [], [saying(2, "10.244.1.0/26", "10.240.0.11/32", "0.0.0.0/0")])
    assert added(other, 2) == []


def test_what_no_pod_can_have_is_no_block() -> None:
    _, [other] = with_blocks(node(1), [], [saying(2, "127.0.0.0/8", "224.0.0.0/4", "fe80::/10")])
    assert added(other, 2) == []


def test_blocks_are_announced_and_read() -> None:
    said = announcement(LINKS, None, [ip_network("192.168.2.0/26"), ip_network("192.168.1.0/26")])
    assert said.networks == ("192.168.1.0/26", "192.168.2.0/26")
    assert parse(encode(said)) == said
    assert parse(encode(said).replace("192.168.1.0/26", "nonsense")) is None
    assert encode(announcement(LINKS, None)).count("networks") == 0, "as before, for those that know none"


def test_a_block_that_goes_is_no_interface_that_is_being_reset() -> None:
    both = announcement(LINKS, None, [ip_network("192.168.1.0/26")])
    assert not only_loses(both, announcement({}, None))

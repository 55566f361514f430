"""Which of a node's addresses answer node ports."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from wellhead.ip import Family, IPNetwork
from wellhead.services.node import LocalNode
from wellhead.services.node_ports import NodePortAddresses, answers_on_loopback, node_port_networks

NODE = LocalNode("here", addresses=(ip_address("10.240.0.11"), ip_address("10.250.0.11")))
V4, V6 = Family.IPV4, Family.IPV6


def networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(each) for each in texts)


@pytest.mark.parametrize(
    ("chosen", "family", "answering"),
    [
        ("primary", V4, networks("10.240.0.11/32")),
        ("primary", V6, ()),  # the node has none: nothing answers, rather than everything
        ((), V4, networks("0.0.0.0/0")),
        (networks("10.240.0.0/24", "192.0.2.0/24"), V4, networks("10.240.0.0/24", "192.0.2.0/24")),
        (networks("10.240.0.0/24"), V6, networks("::/0")),  # of that family none is given
        (networks("10.240.0.0/24", "0.0.0.0/0"), V4, networks("0.0.0.0/0")),
    ],
)
def test_node_ports_answer_as_configured(
    chosen: NodePortAddresses, family: Family, answering: tuple[IPNetwork, ...]
) -> None:
    assert node_port_networks(chosen, family, NODE) == answering


def test_the_primary_address_of_a_node_that_is_not_known_yet_answers_nothing() -> None:
    assert node_port_networks("primary", V4, None) == ()


@pytest.mark.parametrize(
    ("chosen", "loopback"),
    [
        ("primary", False),
        ((), True),
        (networks("127.0.0.0/8"), True),
        (networks("127.0.0.1/32", "10.0.0.0/8"), True),
        (networks("10.0.0.0/8"), False),
        (networks("::1/128"), True),  # which says nothing of IPv4
    ],
)
def test_loopback_answers_unless_others_were_chosen(chosen: NodePortAddresses, loopback: bool) -> None:
    assert answers_on_loopback(chosen, V4) is loopback

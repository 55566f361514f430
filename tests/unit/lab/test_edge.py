from __future__ import annotations

from wellhead.lab import edge
from wellhead.lab.addresses import IPV4, IPV6


def test_every_node_is_translated_both_ways() -> None:
    rules = edge.ruleset(2, [IPV4])
    assert "192.0.2.2 : 10.240.0.2, 192.0.2.11 : 10.240.0.11, 192.0.2.12 : 10.240.0.12 }" in rules
    assert "10.240.0.2 : 192.0.2.2, 10.240.0.11 : 192.0.2.11, 10.240.0.12 : 192.0.2.12 }" in rules


def test_a_load_replaces_what_was_there() -> None:
    lines = edge.ruleset(1, [IPV4]).splitlines()
    assert lines[:2] == ["add table ip wellhead-edge", "delete table ip wellhead-edge"]


def test_each_family_has_its_table() -> None:
    rules = edge.ruleset(1, [IPV4, IPV6])
    assert "table ip wellhead-edge {" in rules
    assert "table ip6 wellhead-edge {" in rules
    assert "fc00::/7" in rules

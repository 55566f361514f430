"""The table of claims beside iptables, for any history of the cluster."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.proxy.nftables.test_ruleset import content, play, steps
from tests.unit.services.objects import endpoint, endpoint_slice, node, node_view, service
from wellhead.ip import Family
from wellhead.linux.nftables.content import difference
from wellhead.proxy.claims.ruleset import ClaimRuleset
from wellhead.proxy.claims.sets import of_port
from wellhead.proxy.marks import Marks
from wellhead.services.service_map import service_map


def make(family: Family) -> ClaimRuleset:
    return ClaimRuleset(family, "auto", Marks(), "primary")


@given(steps, st.sampled_from(Family))
@settings(max_examples=examples(100), deadline=None)
def test_single_changes_of_claims_lead_where_compiling_from_nothing_leads(
    history: list[tuple[str, Any, Any]], family: Family
) -> None:
    _, proxy = play(history, family, make)
    assert dict(sorted(proxy.table.elements.items())) == content(proxy.ruleset.elements())
    assert proxy.table.chains == proxy.ruleset.chains
    found = difference(proxy.ruleset, list(proxy.ruleset.elements()), proxy.table.content())
    assert not found


def sets_of(*endpoints: Any, **spec: Any) -> list[str]:
    services = service_map([service("web", **spec)], [endpoint_slice(*endpoints)])
    (view,) = node_view(services, node()).ports.values()
    return sorted({each.id.set for each in of_port(view)})


def test_an_ordinary_service_of_other_nodes_endpoints_costs_no_element() -> None:
    assert sets_of(endpoint("10.244.2.2", "node-2")) == []


def test_an_endpoint_here_and_one_that_names_no_node_are_told_apart() -> None:
    assert sets_of(endpoint("10.244.1.2")) == ["endpoints-here"]
    assert sets_of(endpoint("10.9.9.9", None)) == ["nodeless-endpoints"]


def test_what_leads_nowhere_has_no_claim() -> None:
    outside = {"type": "LoadBalancer", "ingress": ({"ip": "203.0.113.1"},)}
    assert sets_of(**outside) == []
    assert sets_of(endpoint("10.244.2.2", "node-2"), **outside) == ["external-ips", "external-ports"]


def test_the_rules_know_no_transport_protocol_but_those_of_services() -> None:
    """TCP, UDP and SCTP alike, by one rule each."""
    text = "\n".join(map(str, make(Family.IPV4).chains.values()))
    for protocol in ("tcp", "udp", "sctp"):
        assert f"meta l4proto {protocol} ct original proto-dst @node-port-numbers" in text
    assert "snat to ip saddr" in text
    assert "priority srcnat - 1;" in text

"""ClusterNetworkPolicies: what the API's text says, rule by rule."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from wellhead.ip import Protocol
from wellhead.policies.cluster_policy import NODES, ClusterPolicy, parse_cluster_policy, unsupported
from wellhead.policies.judge import Judgement, Traffic, judge
from wellhead.policies.pods import NamedNumber, Pod
from wellhead.policies.policy import Direction, Policy, parse_policy

NAMESPACES = {name: frozenset({("team", name)}) for name in ("shop", "office")}
POD = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}
EVERYWHERE: dict[str, Any] = {"namespaces": {}}


def pod(name: str, address: str, namespace: str = "shop") -> Pod:
    return Pod(
        namespace, name, name, "", "node-1", frozenset({("app", name)}), (ip_address(address),),
        (NamedNumber("http", Protocol.TCP, 8080),),
    )  # fmt: skip


WEB, DB, MAIL = (
    pod("web", "10.244.1.2"),
    pod("db", "10.244.1.3"),
    pod("mail", "10.244.2.2", "office"),
)
NODE = Pod(NODES, "node-2", "", "", "", frozenset({("zone", "a")}), (ip_address("10.240.0.12"),))


def policy(
    *ingress: Any, tier: str = "Admin", priority: int = 10, name: str = "p", **spec: Any
) -> ClusterPolicy:
    spec = {"subject": EVERYWHERE, "tier": tier, "priority": priority, "ingress": ingress, **spec}
    return parse_cluster_policy({"metadata": {"name": name}, "spec": spec})


def rule(action: str, *peers: Any, protocols: Any = None, to: bool = False) -> Any:
    given = {"action": action, "to" if to else "from": peers or [EVERYWHERE]}
    return given | ({"protocols": protocols} if protocols else {})


def network_policy(**spec: Any) -> Policy:
    return parse_policy({"metadata": {"namespace": "shop", "name": "n"}, "spec": spec})


def come_in(
    *cluster: ClusterPolicy, port: int = 8080, policies: tuple[Policy, ...] = (), source: Pod = DB
) -> bool:
    traffic = Traffic(source.addresses[0], WEB.addresses[0], Protocol.TCP, port, source, WEB)
    return judge(traffic, Direction.INGRESS, policies, NAMESPACES, cluster).passes


def go_out(*cluster: ClusterPolicy, to: str = "10.244.1.3", node: Pod | None = None) -> Judgement:
    pods = {each.addresses[0]: each for each in (WEB, DB, MAIL)}
    address = ip_address(to)
    traffic = Traffic(WEB.addresses[0], address, Protocol.TCP, 8080, WEB, pods.get(address), node)
    return judge(traffic, Direction.EGRESS, (), NAMESPACES, cluster)


NOBODY = network_policy(podSelector={})
ANYBODY = network_policy(podSelector={}, ingress=[{}])


def test_what_no_tier_decides_passes() -> None:
    assert come_in()
    assert come_in(policy(rule("Pass")))


def test_the_admin_tier_comes_before_network_policies() -> None:
    assert come_in(policy(rule("Accept")), policies=(NOBODY,))
    assert not come_in(policy(rule("Deny")), policies=(ANYBODY,))


def test_what_the_admin_tier_passes_network_policies_decide() -> None:
    passing = policy(rule("Pass"), rule("Deny"))
    assert come_in(passing, policies=(ANYBODY,))
    assert not come_in(passing, policies=(NOBODY,))


def test_network_policies_come_before_the_baseline_tier() -> None:
    assert come_in(policy(rule("Deny"), tier="Baseline"), policies=(ANYBODY,))
    assert not come_in(policy(rule("Accept"), tier="Baseline"), policies=(NOBODY,))


def test_the_baseline_tier_decides_for_pods_that_no_network_policy_selects() -> None:
    egress_alone = network_policy(podSelector={}, policyTypes=["Egress"])
    denying = policy(rule("Deny"), tier="Baseline")
    assert not come_in(denying)
    assert not come_in(denying, policies=(egress_alone,))
    assert come_in(policy(rule("Accept"), rule("Deny"), tier="Baseline"))
    assert not come_in(policy(rule("Pass")), denying), "Pass goes on to the next tier"


def test_a_lower_priority_value_comes_first() -> None:
    denying, accepting = policy(rule("Deny"), priority=5), policy(rule("Accept"), priority=6, name="a")
    assert not come_in(denying, accepting)
    assert not come_in(accepting, denying)


def test_rules_of_one_policy_count_in_their_order() -> None:
    assert come_in(policy(rule("Accept", {"pods": POD | {"podSelector": {}}}), rule("Deny")))
    assert not come_in(policy(rule("Deny"), rule("Accept")))


def test_policies_without_rules_of_a_direction_do_nothing_to_it() -> None:
    assert come_in(policy(egress=[rule("Deny", to=True)]))
    assert go_out(policy(rule("Deny"))).passes


def test_a_subject_is_pods_by_namespace_or_by_both() -> None:
    other = {"namespaces": {"matchLabels": {"team": "office"}}}
    assert come_in(policy(rule("Deny"), subject=other))
    assert not come_in(policy(rule("Deny"), subject={"pods": POD}))
    assert come_in(policy(rule("Deny"), subject={"pods": {"podSelector": {"matchLabels": {"app": "db"}}}}))


def test_peers_are_pods_by_namespace_or_by_both() -> None:
    office = {"namespaces": {"matchLabels": {"team": "office"}}}
    assert come_in(policy(rule("Deny", office)))
    assert not come_in(policy(rule("Deny", office)), source=MAIL)
    assert come_in(policy(rule("Deny", {"pods": POD})))


@pytest.mark.parametrize(
    ("protocols", "denied"),
    [
        ([{"tcp": {"destinationPort": {"number": 8080}}}], True),
        ([{"tcp": {"destinationPort": {"number": 80}}}], False),
        ([{"udp": {"destinationPort": {"number": 8080}}}], False),
        ([{"tcp": {"destinationPort": {"range": {"start": 8000, "end": 8080}}}}], True),
        ([{"tcp": {"destinationPort": {"range": {"start": 8081, "end": 9000}}}}], False),
        ([{"destinationNamedPort": "http"}], True),
        ([{"destinationNamedPort": "metrics"}], False),
        (
            [{"sctp": {"destinationPort": {"number": 9}}}, {"tcp": {"destinationPort": {"number": 8080}}}],
            True,
        ),
    ],
)
def test_protocols_match_what_is_dialled(protocols: Any, denied: bool) -> None:
    assert come_in(policy(rule("Deny", protocols=protocols))) is not denied


@pytest.mark.parametrize("peer", [{}, {"zones": {}}, {"namespaces": {"matchExpressions": [{"key": "a"}]}}])
def test_a_peer_of_an_unknown_kind_fails_closed(peer: Any) -> None:
    """Accept matches nothing; Deny and Pass deny all."""
    assert not come_in(policy(rule("Accept", peer, EVERYWHERE), rule("Deny")))
    assert not come_in(policy(rule("Deny", peer)))
    assert not come_in(policy(rule("Pass", peer)))


def test_a_protocol_of_an_unknown_kind_fails_closed() -> None:
    assert not come_in(policy(rule("Accept", protocols=[{"quic": {}}]), rule("Deny")))
    assert not come_in(policy(rule("Pass", protocols=[{"quic": {}}])))


def test_an_action_of_an_unknown_kind_fails_closed() -> None:
    assert not come_in(policy(rule("Allow")))


def test_domain_names_fail_closed_and_that_is_said() -> None:
    given: dict[str, Any] = {
        "egress": [rule("Accept", {"domainNames": ["a.example"]}, to=True), rule("Deny", to=True)]
    }
    assert not go_out(policy(**given)).passes
    assert unsupported({"spec": given}) == ["spec.egress[0].to[0].domainNames"]


def test_networks_include_pods() -> None:
    networks = {"networks": ["10.244.0.0/16", "198.51.100.0/24"]}
    denying = policy(egress=[rule("Deny", networks, to=True)])
    assert not go_out(denying).passes
    assert not go_out(denying, to="198.51.100.79").passes
    assert go_out(denying, to="203.0.113.1").passes
    first = rule("Pass", EVERYWHERE, to=True)
    assert go_out(policy(egress=[first, rule("Deny", networks, to=True)])).passes


def test_nodes_are_peers_by_their_addresses() -> None:
    denying = policy(egress=[rule("Deny", {"nodes": {"matchLabels": {"zone": "a"}}}, to=True)])
    assert not go_out(denying, to="10.240.0.12", node=NODE).passes
    assert go_out(denying).passes
    everything = policy(egress=[rule("Deny", EVERYWHERE, to=True)])
    assert go_out(everything, to="10.240.0.12", node=NODE).passes, "nodes are in no namespace"


def test_the_rule_that_decides_is_named() -> None:
    said = go_out(policy(egress=[rule("Pass", {"pods": POD}, to=True), rule("Deny", to=True)]))
    assert said.by_cluster is not None
    assert (said.by_cluster.policy.name, said.by_cluster.field) == ("p", "spec.egress[1]")

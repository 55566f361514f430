"""networking.k8s.io/v1, sentence by sentence: each test is one of what the API's text says of a field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from wellhead.api.definitions import definitions
from wellhead.api.kinds.networkpolicy import KIND, NETWORKPOLICIES
from wellhead.api.meta import GroupVersionKind
from wellhead.ip import Protocol
from wellhead.policies.judge import Traffic, judge
from wellhead.policies.pods import NamedNumber, Pod
from wellhead.policies.policy import Direction, parse_policy

NAMESPACES = {
    "shop": frozenset({("team", "shop")}),
    "office": frozenset({("team", "office")}),
    "bare": frozenset[tuple[str, str]](),
}
HTTP = (NamedNumber("http", Protocol.TCP, 8080),)
SAID: defaultdict[str, list[str]] = defaultdict(list)
"""Field by field, the tests about it."""


def of(*fields: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test is about these fields."""

    def noted(test: Callable[..., None]) -> Callable[..., None]:
        for each in fields:
            SAID[each].append(test.__name__)
        return test

    return noted


def pod(name: str, address: str, namespace: str = "shop", ports: tuple[NamedNumber, ...] = HTTP) -> Pod:
    labels = frozenset({("app", name)})
    return Pod(namespace, name, name, "", "node-1", labels, (ip_address(address),), ports)


WEB, DB = pod("web", "10.244.1.2"), pod("db", "10.244.1.3")
MAIL, BARE = pod("mail", "10.244.1.4", "office"), pod("bare", "10.244.1.5", "bare")
PODS = {each.addresses[0]: each for each in (WEB, DB, MAIL, BARE)}
OUTSIDE = "198.51.100.79"


def policy(name: str = "p", **spec: Any) -> Any:
    """As the API server stores it."""
    obj: dict[str, Any] = {"metadata": {"namespace": "shop", "name": name}, "spec": spec}
    KIND.strategy.default(obj)
    return obj


def passes(
    direction: Direction, source: str, to: str, port: int | None, protocol: Protocol, *policies: Any
) -> bool:
    ends = ip_address(source), ip_address(to)
    pods = [PODS.get(each) for each in ends]
    traffic = Traffic(*ends, protocol if port is not None else None, port or 0, *pods)
    return judge(traffic, direction, map(parse_policy, policies), NAMESPACES).passes


def come(
    *policies: Any, source: Any = DB, port: int | None = 8080, protocol: Protocol = Protocol.TCP
) -> bool:
    """Whether something comes in to `web`."""
    address = str(source.addresses[0]) if isinstance(source, Pod) else source
    return passes(Direction.INGRESS, address, "10.244.1.2", port, protocol, *policies)


def go(*policies: Any, to: Any = DB, port: int | None = 8080, protocol: Protocol = Protocol.TCP) -> bool:
    """Whether `web` may send something."""
    address = str(to.addresses[0]) if isinstance(to, Pod) else to
    return passes(Direction.EGRESS, "10.244.1.2", address, port, protocol, *policies)


def labels(**given: str) -> Any:
    return {"matchLabels": given}


def from_(*peers: Any, **more: Any) -> Any:
    return {"from": list(peers), **more}


def refused(**spec: Any) -> list[str]:
    """The fields that the API server objects to."""
    return [str(each.field) for each in KIND.strategy.validate(policy(**spec))]


@of("NetworkPolicySpec.podSelector")
def test_the_selector_says_which_pods_the_policy_is_about() -> None:
    assert not come(policy(podSelector=labels(app="web")))
    assert come(policy(podSelector=labels(app="db")))


@of("NetworkPolicySpec.podSelector")
def test_an_empty_selector_is_all_pods_of_the_policys_namespace() -> None:
    assert not come(policy(podSelector={}))
    elsewhere = passes(
        Direction.INGRESS, "10.244.1.3", "10.244.1.4", 80, Protocol.TCP, policy(podSelector={})
    )
    assert elsewhere


@of("NetworkPolicySpec.podSelector")
def test_without_a_selector_it_is_an_empty_one() -> None:
    assert not come(policy())


@of("NetworkPolicySpec.podSelector", "NetworkPolicySpec.ingress", "NetworkPolicySpec.egress")
def test_rules_of_several_policies_add_up() -> None:
    one, other = policy(ingress=[from_({"podSelector": labels(app="db")})]), policy("q", ingress=[])
    assert come(one, other)
    assert come(other, one)
    assert not come(one, other, source=MAIL)


@of("NetworkPolicySpec.ingress", "NetworkPolicySpec.egress")
def test_without_a_policy_that_selects_the_pod_everything_passes() -> None:
    assert come(source=OUTSIDE)
    assert go(to=OUTSIDE)


@of("NetworkPolicySpec.ingress")
def test_an_empty_ingress_lets_nothing_in() -> None:
    assert not come(policy(ingress=[]))
    assert go(policy(ingress=[]))


@of("NetworkPolicySpec.ingress")
def test_what_matches_any_rule_comes_in() -> None:
    rules = [from_({"podSelector": labels(app="none")}), from_({"podSelector": labels(app="db")})]
    assert come(policy(ingress=rules))


@of("NetworkPolicySpec.egress")
def test_an_empty_egress_lets_nothing_out() -> None:
    assert not go(policy(policyTypes=["Egress"], egress=[]))


@of("NetworkPolicySpec.egress")
def test_what_matches_any_rule_goes_out() -> None:
    rules = [{"to": [{"podSelector": labels(app="none")}]}, {"to": [{"podSelector": labels(app="db")}]}]
    assert go(policy(policyTypes=["Egress"], egress=rules))


@of("NetworkPolicySpec.policyTypes")
def test_a_type_that_is_not_named_is_left_alone() -> None:
    assert come(policy(policyTypes=["Egress"], ingress=[], egress=[]))
    assert go(policy(policyTypes=["Ingress"], egress=[]))


@of("NetworkPolicySpec.policyTypes")
def test_without_types_it_is_about_ingress_and_with_egress_rules_about_both() -> None:
    assert go(policy(podSelector={}))
    rule = {"to": [{"podSelector": labels(app="db")}]}
    assert not come(policy(egress=[rule]))
    assert not go(policy(egress=[rule]), to=MAIL)


@of("NetworkPolicySpec.policyTypes")
def test_an_egress_list_without_rules_needs_the_type_to_count() -> None:
    assert go(policy(egress=[]))
    assert not go(policy(egress=[], policyTypes=["Egress"]))


@of("NetworkPolicySpec.policyTypes")
def test_types_are_ingress_and_egress_and_no_others() -> None:
    assert refused(policyTypes=["Both"]) == ["spec.policyTypes[0]"]
    assert refused(policyTypes=["Ingress", "Egress", "Ingress"]) == ["spec.policyTypes"]


@of("NetworkPolicyIngressRule.ports", "NetworkPolicyIngressRule.from")
def test_ports_and_sources_must_both_match() -> None:
    rule = from_({"podSelector": labels(app="db")}, ports=[{"port": 8080}])
    assert come(policy(ingress=[rule]))
    assert not come(policy(ingress=[rule]), port=80)
    assert not come(policy(ingress=[rule]), source=MAIL)


@of("NetworkPolicyIngressRule.ports", "NetworkPolicyEgressRule.ports")
def test_any_of_the_ports_is_enough() -> None:
    ports = [{"port": 1}, {"port": 8080}]
    assert come(policy(ingress=[{"ports": ports}]))
    assert go(policy(policyTypes=["Egress"], egress=[{"ports": ports}]))
    assert not come(policy(ingress=[{"ports": ports}]), port=2)


@of("NetworkPolicyIngressRule.ports", "NetworkPolicyEgressRule.ports")
@pytest.mark.parametrize("rule", [{}, {"ports": []}])
def test_without_ports_traffic_is_not_restricted_by_them(rule: Any) -> None:
    assert come(policy(ingress=[rule]), port=None), "protocols without ports, too"
    assert go(policy(policyTypes=["Egress"], egress=[rule]), protocol=Protocol.SCTP)


@of("NetworkPolicyIngressRule.from")
@pytest.mark.parametrize("rule", [{}, {"from": []}])
def test_without_sources_everybody_comes_in(rule: Any) -> None:
    assert come(policy(ingress=[rule]), source=OUTSIDE)
    assert come(policy(ingress=[rule]), source=MAIL)


@of("NetworkPolicyIngressRule.from", "NetworkPolicyEgressRule.to")
def test_any_of_the_peers_is_enough() -> None:
    peers = [{"podSelector": labels(app="none")}, {"podSelector": labels(app="db")}]
    assert come(policy(ingress=[from_(*peers)]))
    assert go(policy(policyTypes=["Egress"], egress=[{"to": peers}]))


@of("NetworkPolicyEgressRule.ports", "NetworkPolicyEgressRule.to")
def test_ports_and_destinations_must_both_match() -> None:
    rule = {"to": [{"podSelector": labels(app="db")}], "ports": [{"port": 8080}]}
    dials = policy(policyTypes=["Egress"], egress=[rule])
    assert go(dials)
    assert not go(dials, port=80)
    assert not go(dials, to=MAIL)


@of("NetworkPolicyEgressRule.to")
@pytest.mark.parametrize("rule", [{}, {"to": []}])
def test_without_destinations_everything_may_be_dialled(rule: Any) -> None:
    assert go(policy(policyTypes=["Egress"], egress=[rule]), to=OUTSIDE)


@of("NetworkPolicyPort.protocol")
def test_without_a_protocol_it_is_tcp() -> None:
    only = policy(ingress=[{"ports": [{"port": 8080}]}])
    assert come(only)
    assert not come(only, protocol=Protocol.UDP)


@of("NetworkPolicyPort.protocol")
@pytest.mark.parametrize("protocol", Protocol)
def test_the_protocol_must_be_the_packets(protocol: Protocol) -> None:
    only = policy(ingress=[{"ports": [{"protocol": protocol.value}]}])
    assert [each for each in Protocol if come(only, protocol=each)] == [protocol]


@of("NetworkPolicyPort.protocol")
def test_protocols_are_tcp_udp_and_sctp_and_no_others() -> None:
    ports = [{"protocol": "ICMP"}]
    assert refused(ingress=[{"ports": ports}]) == ["spec.ingress[0].ports[0].protocol"]


@of("NetworkPolicyPort.port")
def test_without_a_port_all_of_the_protocol_are_meant() -> None:
    assert come(policy(ingress=[{"ports": [{"protocol": "UDP"}]}]), protocol=Protocol.UDP, port=1)


@of("NetworkPolicyPort.port")
def test_a_ports_name_is_the_dialled_pods() -> None:
    named = [{"port": "http"}]
    assert come(policy(ingress=[{"ports": named}]))
    assert not come(policy(ingress=[{"ports": named}]), port=80)
    dials = policy(policyTypes=["Egress"], egress=[{"ports": named}])
    assert go(dials)
    assert not go(dials, to=OUTSIDE)


@of("NetworkPolicyPort.port")
def test_port_and_protocol_must_both_match() -> None:
    ports = [{"port": 8080, "protocol": "UDP"}, {"port": "http", "protocol": "UDP"}]
    assert not come(policy(ingress=[{"ports": ports}]))


@of("NetworkPolicyPort.endPort")
def test_a_range_includes_both_ends() -> None:
    ranged = policy(ingress=[{"ports": [{"port": 8080, "endPort": 8090}]}])
    assert [port for port in (8079, 8080, 8085, 8090, 8091) if come(ranged, port=port)] == [8080, 8085, 8090]


@of("NetworkPolicyPort.endPort")
@pytest.mark.parametrize(
    "port", [{"endPort": 90}, {"port": "http", "endPort": 90}, {"port": 91, "endPort": 90}]
)
def test_a_range_needs_a_number_to_begin_with_that_is_not_greater(port: Any) -> None:
    ports = [port | {"endPort": 90}]
    assert refused(ingress=[{"ports": ports}]) == ["spec.ingress[0].ports[0].endPort"]


@of("NetworkPolicyPeer.podSelector")
def test_pods_alone_are_those_of_the_policys_namespace() -> None:
    everybody = policy(ingress=[from_({"podSelector": {}})])
    assert come(everybody)
    assert not come(everybody, source=MAIL)
    assert not come(everybody, source=OUTSIDE)


@of("NetworkPolicyPeer.namespaceSelector")
def test_namespaces_alone_are_all_their_pods() -> None:
    office = policy(ingress=[from_({"namespaceSelector": labels(team="office")})])
    assert come(office, source=MAIL)
    assert not come(office)


@of("NetworkPolicyPeer.namespaceSelector")
def test_an_empty_selector_of_namespaces_is_all_of_them() -> None:
    everywhere = policy(ingress=[from_({"namespaceSelector": {}})])
    assert [each.name for each in PODS.values() if come(everywhere, source=each)] == [
        "web",
        "db",
        "mail",
        "bare",
    ]
    assert not come(everywhere, source=OUTSIDE), "who is no pod is in no namespace"


@of("NetworkPolicyPeer.podSelector", "NetworkPolicyPeer.namespaceSelector")
def test_both_together_are_such_pods_of_such_namespaces() -> None:
    both = {"podSelector": labels(app="mail"), "namespaceSelector": labels(team="office")}
    assert come(policy(ingress=[from_(both)]), source=MAIL)
    other = {"podSelector": labels(app="db"), "namespaceSelector": labels(team="office")}
    assert not come(policy(ingress=[from_(other)]))
    assert not come(policy(ingress=[from_(other)]), source=MAIL)


@of("NetworkPolicyPeer.podSelector", "NetworkPolicyPeer.namespaceSelector")
def test_two_peers_are_one_or_the_other() -> None:
    either = from_({"podSelector": labels(app="db")}, {"namespaceSelector": labels(team="office")})
    assert come(policy(ingress=[either]))
    assert come(policy(ingress=[either]), source=MAIL)


@of("NetworkPolicyPeer.podSelector", "NetworkPolicyPeer.namespaceSelector")
def test_selectors_are_those_that_everybody_knows() -> None:
    for operator, values, names in (
        ("In", ["shop", "office"], ["web", "db", "mail"]),
        ("NotIn", ["shop"], ["mail", "bare"]),
        ("Exists", [], ["web", "db", "mail"]),
        ("DoesNotExist", [], ["bare"]),
    ):
        expression = {"key": "team", "operator": operator} | ({"values": values} if values else {})
        found = policy(ingress=[from_({"namespaceSelector": {"matchExpressions": [expression]}})])
        assert [each.name for each in PODS.values() if come(found, source=each) and each is not WEB] == [
            each for each in names if each != "web"
        ]


@of("NetworkPolicyPeer.ipBlock")
def test_a_block_stands_alone() -> None:
    block = {"ipBlock": {"cidr": "198.51.100.0/24"}, "podSelector": {}}
    assert refused(ingress=[from_(block)]) == ["spec.ingress[0].from[0]"]
    assert refused(ingress=[from_({})]) == ["spec.ingress[0].from[0]"]


@of("IPBlock.cidr")
def test_addresses_of_the_block_are_let_in() -> None:
    block = policy(ingress=[from_({"ipBlock": {"cidr": "198.51.100.0/24"}})])
    assert come(block, source=OUTSIDE)
    assert not come(block, source="203.0.113.1")
    assert not come(block, source="2001:db8::1")


@of("IPBlock.cidr")
def test_a_block_is_of_either_family() -> None:
    both = policy(ingress=[from_({"ipBlock": {"cidr": "2001:db8::/64"}}, {"ipBlock": {"cidr": "0.0.0.0/0"}})])
    assert come(both, source=OUTSIDE)
    assert refused(ingress=[from_({"ipBlock": {"cidr": "nowhere"}})]) == [
        "spec.ingress[0].from[0].ipBlock.cidr"
    ]


@of("IPBlock.except")
def test_excepted_addresses_are_not_let_in() -> None:
    block = {"cidr": "0.0.0.0/0", "except": ["198.51.100.0/24", "203.0.113.9/32"]}
    found = policy(ingress=[from_({"ipBlock": block})])
    sources = (OUTSIDE, "203.0.113.9", "203.0.113.8")
    assert [each for each in sources if come(found, source=each)] == ["203.0.113.8"]


@of("IPBlock.except")
def test_what_one_block_excepts_another_rule_may_let_in() -> None:
    hole = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["198.51.100.0/24"]}}
    assert come(policy(ingress=[from_(hole), from_({"ipBlock": {"cidr": f"{OUTSIDE}/32"}})]), source=OUTSIDE)


@of("IPBlock.except")
def test_exceptions_outside_of_the_block_are_refused() -> None:
    block = {"cidr": "198.51.100.0/24", "except": ["203.0.113.0/24"]}
    assert refused(ingress=[from_({"ipBlock": block})]) == ["spec.ingress[0].from[0].ipBlock.except[0]"]


def test_every_field_of_the_api_has_its_tests() -> None:
    known = definitions(GroupVersionKind(NETWORKPOLICIES.group, "v1", "NetworkPolicy"))
    prefix = "io.k8s.api.networking.v1."
    types = (
        "NetworkPolicySpec", "NetworkPolicyIngressRule", "NetworkPolicyEgressRule", "NetworkPolicyPort",
        "NetworkPolicyPeer", "IPBlock",
    )  # fmt: skip
    fields = {f"{each}.{field}" for each in types for field in known.fields(prefix + each)}
    assert set(SAID) == fields

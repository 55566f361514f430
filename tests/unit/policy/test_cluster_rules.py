"""Elements say what ClusterNetworkPolicies say, and single changes come to what is compiled anew."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from hypothesis import given, settings

from tests.examples import examples
from tests.unit.policies.making_up import ADDRESSES, OUTSIDE, PORTS
from tests.unit.policies.making_up_cluster import Event, events
from tests.unit.policies.test_node_policies import last, owners
from tests.unit.policy.tables import Tables
from tests.unit.policy.test_ruleset import _number
from wellhead.ip import IPAddress, Protocol, family_of
from wellhead.linux.nftables.objects import ElementKey
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.cluster_policy import (
    NODES,
    Action,
    Tier,
    parse_cluster_node,
    parse_cluster_policy,
)
from wellhead.policies.followed import Changes
from wellhead.policies.judge import Traffic, judge
from wellhead.policies.pods import labels_of, parse_pod
from wellhead.policies.policy import Direction
from wellhead.policy import layout

NODE = "10.240.0.1"


def tell(known: ClusterPolicies, kind: str, obj: dict[str, object], gone: bool) -> None:
    metadata = obj["metadata"]
    assert isinstance(metadata, dict)
    name = metadata["name"]
    match kind:
        case "cluster":
            known.set_policy(("", name), None if gone else parse_cluster_policy(obj))
        case "node":
            if not gone or (NODES, name) in known._pods:
                known.set_pod((NODES, name), None if gone else parse_cluster_node(obj))
        case "pod":
            at = metadata["namespace"], name
            if not gone or at in known._pods:
                known.set_pod(at, None if gone else parse_pod(obj))
        case "namespace":
            known.set_namespace(name, None if gone else labels_of(obj))


@settings(max_examples=examples(40))
@given(events())
def test_single_changes_come_to_what_is_compiled_anew(happened: list[Event]) -> None:
    known, tables = ClusterPolicies("node-1"), Tables()
    for event in happened:
        tell(known, *event)
        tables.hear(Changes(), known.take())
    for family, ruleset in tables.rulesets.items():
        assert tables.of[family].elements == {each.id: each.data for each in ruleset.elements()}
    anew, fresh = ClusterPolicies("node-1"), Tables()
    for (kind, *_), obj in last(happened).items():
        tell(anew, kind, obj, False)
    fresh.hear(Changes(), anew.take())
    assert tables.elements() == fresh.elements()


@settings(max_examples=examples(40))
@given(events())
def test_the_elements_say_what_the_api_says(happened: list[Event]) -> None:
    known, tables, objects = ClusterPolicies("node-1"), Tables(), last(happened)
    for event in happened:
        tell(known, *event)
    tables.hear(Changes(), known.take())
    pods = owners(objects)
    nodes = [parse_cluster_node(obj) for (kind, *_), obj in objects.items() if kind == "node"]
    at_nodes = {address: each for each in nodes if each is not None for address in each.addresses}
    policies = [parse_cluster_policy(obj) for (kind, *_), obj in objects.items() if kind == "cluster"]
    namespaces = {name: labels_of(obj) for (kind, _, name), obj in objects.items() if kind == "namespace"}
    here = [address for address, pod in pods.items() if pod.node == "node-1"]
    for pod in here:
        for other in ends(pod):
            for direction in Direction:
                source, destination = (other, pod) if direction is Direction.INGRESS else (pod, other)
                for protocol, port in dialled():
                    traffic = Traffic(
                        source, destination, protocol, port, pods.get(source), pods.get(destination),
                        at_nodes.get(destination),
                    )  # fmt: skip
                    said = judge(traffic, direction, [], namespaces, policies)
                    assert passes(tables, traffic, direction) == said.passes, (traffic, direction, said)


def ends(pod: IPAddress) -> Iterator[IPAddress]:
    for each in (*ADDRESSES[:3], ADDRESSES[-1], *OUTSIDE, NODE):
        if family_of(found := ip_address(each)) is family_of(pod):
            yield found


def dialled() -> Iterator[tuple[Protocol | None, int]]:
    yield None, 0
    for protocol in (Protocol.TCP, Protocol.UDP):
        yield from ((protocol, port) for port in PORTS)


def passes(tables: Tables, traffic: Traffic, direction: Direction) -> bool:
    """As the rules look elements up."""
    elements = tables.of[family_of(traffic.source)].elements
    pod, other = (
        (traffic.destination, traffic.source)
        if direction is Direction.INGRESS
        else (traffic.source, traffic.destination)
    )
    own = traffic.source_pod is not None and traffic.source_pod == traffic.destination_pod
    number = _number(elements, layout.CLUSTER_PEERS, other)
    if number is None:
        number = _block(elements, other)
    if number is None:
        number = layout.EVERYONE
    for tier, action in (
        (Tier.ADMIN, Action.ACCEPT),
        (Tier.ADMIN, Action.DENY),
        (Tier.BASELINE, Action.DENY),
    ):
        if layout.judgement(direction, tier, pod).id not in elements:
            continue
        if _matches(elements, layout.Ruled(direction, tier, action), number, pod, traffic):
            return action is Action.ACCEPT or own
    return True


def _block(elements: dict[ElementKey, object], address: IPAddress) -> int | None:
    name = layout.CLUSTER_BLOCKS
    before = [each for each in elements if each.set == name and each.key <= address.packed]
    if not before:
        return None
    at = max(before, key=lambda each: (each.key, not each.interval_end))
    return None if at.interval_end else _number(elements, name, ip_address(at.key))


def _matches(
    elements: dict[ElementKey, object], sets: layout.Ruled, number: int, pod: IPAddress, traffic: Traffic
) -> bool:
    if layout.member(sets.all, number, pod).id in elements:
        return True
    if traffic.protocol is None:
        return layout.member(sets.other, number, pod).id in elements
    key = layout.port_range(sets.ports, number, pod, traffic.protocol, traffic.port, traffic.port).id.key
    return any(each.key <= key <= each.key_end for each in elements if each.set == sets.ports)

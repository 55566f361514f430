"""Elements say what policies say, and single changes come to what is compiled anew."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings

from tests.examples import examples
from tests.unit.policies.making_up import Event, events
from tests.unit.policies.test_node_policies import judged, last, tell
from tests.unit.policy.tables import Tables
from wellhead.ip import IPAddress, family_of
from wellhead.linux.nftables.objects import ElementKey
from wellhead.policies.judge import Traffic
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.policy import Direction
from wellhead.policy import layout


@settings(max_examples=examples(100))
@given(events())
def test_single_changes_come_to_what_is_compiled_anew(happened: list[Event]) -> None:
    known, tables = NodePolicies("node-1"), Tables()
    for event in happened:
        tell(known, *event)
        tables.hear(known.take())
    for family, ruleset in tables.rulesets.items():
        compiled = {each.id: each.data for each in ruleset.elements()}
        assert tables.of[family].elements == compiled
    anew, fresh = NodePolicies("node-1"), Tables()
    for (kind, *_), obj in last(happened).items():
        tell(anew, kind, obj, False)
    fresh.hear(anew.take())
    assert tables.elements() == fresh.elements()


@settings(max_examples=examples(100))
@given(events())
def test_the_elements_say_what_the_api_says(happened: list[Event]) -> None:
    known, tables = NodePolicies("node-1"), Tables()
    for event in happened:
        tell(known, *event)
    tables.hear(known.take())
    for traffic, direction, said in judged(last(happened)):
        assert passes(tables, traffic, direction) == said.passes, (traffic, direction, said)


def passes(tables: Tables, traffic: Traffic, direction: Direction) -> bool:
    """As the rules look elements up."""
    elements = tables.of[family_of(traffic.source)].elements
    ends = traffic.destination, traffic.source
    pod, other = ends if direction is Direction.INGRESS else ends[::-1]
    assert ElementKey(layout.KNOWN, pod.packed) in elements
    if layout.isolation(direction, pod).id not in elements or other == pod:
        return True
    found = {layout.EVERYONE, _number(elements, layout.PEERS, other), _block(elements, other)}
    return any(_allows(elements, direction, number, pod, traffic) for number in found if number is not None)


def _number(elements: dict[ElementKey, object], name: str, address: IPAddress) -> int | None:
    data = elements.get(ElementKey(name, address.packed))
    return int.from_bytes(data, "little") if isinstance(data, bytes) else None


def _block(elements: dict[ElementKey, object], address: IPAddress) -> int | None:
    before = [each for each in elements if each.set == layout.BLOCKS and each.key <= address.packed]
    if not before:
        return None
    at = max(before, key=lambda each: (each.key, not each.interval_end))
    return None if at.interval_end else _number(elements, layout.BLOCKS, ip_address(at.key))


def _allows(
    elements: dict[ElementKey, object], direction: Direction, number: int, pod: IPAddress, traffic: Traffic
) -> bool:
    if layout.everything(direction, number, pod).id in elements:
        return True
    if traffic.protocol is None:
        return False
    if layout.port(direction, number, pod, traffic.protocol, traffic.port).id in elements:
        return True
    key = layout.port_range(
        layout.port_ranges(direction), number, pod, traffic.protocol, traffic.port, traffic.port
    ).id.key
    return any(
        each.key <= key <= each.key_end for each in elements if each.set == layout.port_ranges(direction)
    )

"""What is kept current equals what is made anew, and both say what the API's text says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import TypeVar

from hypothesis import given

from tests.unit.policies.making_up import ADDRESSES, OUTSIDE, PORTS, Event, Obj, events
from wellhead.ip import Family, IPAddress, Protocol, family_of
from wellhead.policies.blocks import Stretch
from wellhead.policies.followed import PeerClass
from wellhead.policies.judge import Judgement, Traffic, judge
from wellhead.policies.node_policies import NodePolicies, Subject
from wellhead.policies.pods import Pod, labels_of, parse_pod
from wellhead.policies.policy import (
    AnyTraffic,
    Block,
    Direction,
    Everyone,
    NamedPort,
    Peer,
    Port,
    PortRange,
    parse_policy,
)

T = TypeVar("T")
Objects = dict[tuple[str, str, str], Obj]


def key(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def tell(known: NodePolicies, kind: str, obj: Obj, gone: bool) -> None:
    match kind:
        case "policy":
            known.set_policy(key(obj), None if gone else parse_policy(obj))
        case "pod":
            if not gone or key(obj) in known._pods:
                known.set_pod(key(obj), None if gone else parse_pod(obj))
        case "namespace":
            known.set_namespace(key(obj)[1], None if gone else labels_of(obj))


def last(happened: Iterable[Event]) -> Objects:
    found: Objects = {}
    for kind, obj, gone in happened:
        found.pop((kind, *key(obj)), None)
        if not gone:
            found[kind, *key(obj)] = obj
    return found


class Mirror:
    """What somebody knows who hears of changes alone."""

    def __init__(self) -> None:
        self.subjects: dict[IPAddress, Subject] = {}
        self.classes: dict[IPAddress, PeerClass] = {}
        self.stretches: dict[Family, tuple[Stretch, ...]] = dict.fromkeys(Family, ())

    def hear(self, known: NodePolicies) -> None:
        changes = known.take()
        _follow(self.subjects, changes.subjects)
        _follow(self.classes, changes.classes)
        self.stretches.update(changes.stretches)


def _follow(mine: dict[IPAddress, T], told: Mapping[IPAddress, tuple[T | None, T | None]]) -> None:
    for address, (before, after) in told.items():
        assert mine.pop(address, None) == before
        assert before != after
        if after is not None:
            mine[address] = after


@given(events())
def test_any_order_of_events_comes_to_what_is_made_of_the_last_state_alone(happened: list[Event]) -> None:
    known, mirror = NodePolicies("node-1"), Mirror()
    for event in happened:
        tell(known, *event)
        mirror.hear(known)
    anew, fresh = NodePolicies("node-1"), Mirror()
    for (kind, *_), obj in last(happened).items():
        tell(anew, kind, obj, False)
    fresh.hear(anew)
    assert vars(mirror) == vars(fresh)


@given(events())
def test_what_is_enforced_is_what_the_api_says(happened: list[Event]) -> None:
    known, mirror = NodePolicies("node-1"), Mirror()
    for event in happened:
        tell(known, *event)
    mirror.hear(known)
    for traffic, direction, said in judged(last(happened)):
        assert passes(mirror, traffic, direction) == said.passes, (traffic, direction, said)


def judged(objects: Objects) -> Iterator[tuple[Traffic, Direction, Judgement]]:
    """What the API's text says of everything that may meet a pod of node-1."""
    policies = [parse_policy(obj) for (kind, *_), obj in objects.items() if kind == "policy"]
    namespaces = {name: labels_of(obj) for (kind, _, name), obj in objects.items() if kind == "namespace"}
    for traffic in every_traffic(owners(objects)):
        for direction, here in zip(Direction, (traffic.destination_pod, traffic.source_pod), strict=True):
            if here is not None and here.node == "node-1":
                yield traffic, direction, judge(traffic, direction, policies, namespaces)


def owners(objects: Objects) -> dict[IPAddress, Pod]:
    found: dict[IPAddress, Pod] = {}
    pods = (parse_pod(obj) for (kind, *_), obj in objects.items() if kind == "pod")
    for pod in sorted(filter(None, pods), key=lambda each: (each.created, each.uid)):
        found |= dict.fromkeys(pod.addresses, pod)
    return found


def every_traffic(pods: dict[IPAddress, Pod]) -> Iterator[Traffic]:
    ends = [ip_address(each) for each in (*ADDRESSES[:4], ADDRESSES[-1], *OUTSIDE)]
    for source in ends:
        for destination in ends:
            if source.version != destination.version:
                continue
            at = source, destination
            both = pods.get(source), pods.get(destination)
            yield Traffic(*at, None, 0, *both)
            for protocol in (Protocol.TCP, Protocol.UDP):
                for port in PORTS:
                    yield Traffic(*at, protocol, port, *both)


def passes(mirror: Mirror, traffic: Traffic, direction: Direction) -> bool:
    """By classes and subjects alone."""
    ends = traffic.destination, traffic.source
    mine, other = ends if direction is Direction.INGRESS else ends[::-1]
    subject = mirror.subjects[mine]
    allowed = subject.allowed(direction)
    if allowed is None or (traffic.source_pod is not None and traffic.source_pod == traffic.destination_pod):
        return True
    return any(
        _is_among(each.peer, other, mirror) and _is_port(each.port, traffic, mirror.classes.get(other))
        for each in allowed
    )


def _is_among(peer: Peer, address: IPAddress, mirror: Mirror) -> bool:
    if isinstance(peer, Everyone):
        return True
    if isinstance(peer, Block):
        found = [
            each.blocks
            for each in mirror.stretches[family_of(address)]
            if int(each.first) <= int(address) <= int(each.last)
        ]
        return any(peer in each for each in found)
    of = mirror.classes.get(address)
    return of is not None and peer in of.peers


def _is_port(port: Port, traffic: Traffic, of: PeerClass | None) -> bool:
    if isinstance(port, AnyTraffic):
        return True
    if isinstance(port, PortRange):
        return traffic.protocol is port.protocol and traffic.port in port
    assert isinstance(port, NamedPort)
    names = of.ports if of is not None else ()
    return any(
        (each.name, each.protocol, each.number) == (port.name, port.protocol, traffic.port)
        and traffic.protocol is port.protocol
        for each in names
    )

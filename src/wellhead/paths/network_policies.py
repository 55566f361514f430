"""What NetworkPolicies say of a packet that would arrive, judged by the core that enforces them.

A policy is compared with what the pod's own node sees where it forwards: behind destination NAT and before
that node's source NAT. That isn't always what the server sees.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from wellhead.ip import IPAddress, parse_address
from wellhead.paths.client import Client
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, Packet
from wellhead.paths.parties.base import note
from wellhead.paths.reading import Obj, text
from wellhead.paths.way import Decision, Disposition, Step, What
from wellhead.paths.world import World
from wellhead.policies.judge import Judgement, Traffic, judge
from wellhead.policies.pods import Labels, Pod, labels_of, parse_pod
from wellhead.policies.policy import Block, Direction, Policy, parse_policy

T = TypeVar("T")

_ENFORCER = "NetworkPolicy"


class NetworkPolicies:
    """Those of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def judged(self, ending: Ending, client: Client) -> Ending:
        """The same, or where a policy ends it instead."""
        if not self.all or ending.disposition is not Disposition.DELIVERED:
            return ending
        return self._leaving(ending, client) or self._arriving(ending) or ending

    @cached_property
    def all(self) -> list[Policy]:
        """Every policy that can be read."""
        found = (_readable(parse_policy, each) for each in self._world.all("NetworkPolicy"))
        return [each for each in found if each is not None]

    @cached_property
    def _namespaces(self) -> dict[str, Labels]:
        found: dict[str, Labels] = {}
        for each in self._world.all("Namespace"):
            labels = _readable(labels_of, each)
            found[text(each, "metadata", "name")] = labels or frozenset()
        return found

    @cached_property
    def _pods(self) -> dict[IPAddress, Pod]:
        found: dict[IPAddress, Pod] = {}
        pods = (_readable(parse_pod, each) for each in self._world.all("Pod"))
        for pod in sorted(filter(None, pods), key=lambda each: (each.created, each.uid)):
            found |= dict.fromkeys(pod.addresses, pod)
        return found

    def _leaving(self, ending: Ending, client: Client) -> Ending | None:
        packet = ending.packet
        address = client.address(packet.family)
        pod = self._pods.get(address) if address is not None else None
        if address is None or pod is None:
            return None
        dialled = _address(packet.steps[0].to) if packet.steps else None
        for step in packet.steps:
            if step.what is What.DNAT and step.node == client.node:
                dialled = _address(step.to) or dialled
        if dialled is None:
            return None
        port, peer = _port(packet, client), self._pods.get(dialled)
        traffic = Traffic(address, dialled, packet.protocol, port, pod, peer)
        said = judge(traffic, Direction.EGRESS, self.all, self._namespaces)
        if said.passes:
            return None
        sentence = f"{_names(said)} select{_s(said)} {pod}, and nothing in {_it(said)} lets it dial {dialled}"
        kept = packet.having(steps=_before(packet.steps, client.node), node=client.node)
        return self._stopped(kept, said, f"{sentence}.", "spec.egress")

    def _arriving(self, ending: Ending) -> Ending | None:
        packet = ending.packet
        node, destination = ending.endpoint_node, packet.destination
        pod = self._pods.get(destination) if destination is not None else None
        if destination is None or pod is None or _is_the_nodes_own(packet, node):
            return None
        seen = _seen_by(packet, node or pod.node)
        if seen is None:
            return self._open(ending, pod)
        traffic = Traffic(seen, destination, packet.protocol, packet.port, self._pods.get(seen), pod)
        said = judge(traffic, Direction.INGRESS, self.all, self._namespaces)
        if said.passes:
            return _allowed(ending, said) if said.allowed_by is not None else None
        client = _address(packet.steps[0].from_) if packet.steps else None
        sees = f"{pod.node} sees {seen}"
        if client is not None and client != seen:
            sees += f", not {client}"
            if any(each.code is Code.CLUSTER_POLICY for each in packet.steps):
                sees += ", because externalTrafficPolicy is Cluster"
        sentence = f"{_names(said)} select{_s(said)} {pod}, and nothing in {_it(said)} lets this in: {sees}."
        kept = packet.having(steps=_before(packet.steps, node), node=node)
        return self._stopped(kept, said, sentence, "spec.ingress")

    def _stopped(self, packet: Packet, said: Judgement, sentence: str, field: str) -> Ending:
        decision = Decision(object=f"NetworkPolicy {said.isolating[0]}", field=field)
        dropped = packet.step(
            _ENFORCER, What.DROP, Code.POLICY_DROPS, sentence, from_=packet.source, decided_by=decision
        )
        return dropped.noting(note(Code.ASSUMES_POLICIES_ENFORCED)).end(Disposition.DROPPED)

    def _open(self, ending: Ending, pod: Pod) -> Ending | None:
        """The source isn't known. Where nothing asks for it, that doesn't matter."""
        destination = ending.packet.destination
        assert destination is not None
        nowhere = type(destination)(0)  # an address that nobody has
        traffic = Traffic(nowhere, destination, ending.packet.protocol, ending.packet.port, None, pod)
        said = judge(traffic, Direction.INGRESS, self.all, self._namespaces)
        if said.passes:
            return None
        rules = (rule for each in said.isolating for rule in each.ingress or ())
        if not any(isinstance(peer, Block) for rule in rules for peer in rule.peers):
            kept = ending.packet.having(steps=_before(ending.packet.steps, ending.endpoint_node))
            return self._stopped(kept, said, f"{_names(said)} let{_s(said)} no node in.", "spec.ingress")
        sentence = (
            f"{_names(said)} name{_s(said)} networks; whether the address that {pod.node} sees is in one "
            "isn't known."
        )
        open_ = note(Code.UNKNOWN_POLICY_SOURCE, sentence)
        return ending.packet.noting(open_).end(Disposition.UNKNOWN)


def _allowed(ending: Ending, said: Judgement) -> Ending:
    by = said.allowed_by
    assert by is not None
    decision = Decision(object=f"NetworkPolicy {by.policy}", field=by.field, value=f"{by.peer}, {by.port}")
    sentence = f"NetworkPolicy {by.policy} lets {by.peer} in ({by.port})."
    passed = note(Code.POLICY_ALLOWS, sentence, decision)
    return Ending(
        ending.packet.noting(passed, note(Code.ASSUMES_POLICIES_ENFORCED)),
        ending.disposition,
        ending.endpoint_node,
        ending.endpoint_pod,
        ending.extra,
    )


def _is_the_nodes_own(packet: Packet, node: str) -> bool:
    """Whether the pod's node sent it itself, and nobody else had it: that is never forwarded."""
    return packet.born_here and all(each.node in (node, "") for each in packet.steps)


def _seen_by(packet: Packet, node: str) -> IPAddress | None:
    """The source where the endpoint's node forwards the packet: before its own masquerade."""
    for step in packet.steps:
        if step.what is What.SNAT and step.node == node:
            return _address(step.from_)
    return packet.source.address


def _before(steps: tuple[Step, ...], node: str) -> tuple[Step, ...]:
    """Those before the last node forwards: what it does behind that doesn't happen."""
    found = list(steps)
    while found and found[-1].what in (What.DELIVER, What.SNAT, What.REPLY) and found[-1].node in (node, ""):
        found.pop()
    return tuple(found)


def _port(packet: Packet, client: Client) -> int:
    """The port that the client's node sees dialled."""
    found = packet.steps[0].to or ""
    for step in packet.steps:
        if step.what is What.DNAT and step.node == client.node:
            found = step.to or found
    number = found.rpartition(":")[2]
    return int(number) if number.isdigit() else packet.port


def _address(text: str | None) -> IPAddress | None:
    """Of `address`, `address:port` and `[address]:port`."""
    if not text:
        return None
    if text.startswith("["):
        return parse_address(text[1:].partition("]")[0])
    return parse_address(text.rpartition(":")[0] if text.count(":") == 1 else text)


def _names(said: Judgement) -> str:
    names = [str(each) for each in said.isolating]
    return f"NetworkPolicy {names[0]}" if len(names) == 1 else f"NetworkPolicies {', '.join(names)}"


def _s(said: Judgement) -> str:
    return "s" if len(said.isolating) == 1 else ""


def _it(said: Judgement) -> str:
    return "it" if len(said.isolating) == 1 else "them"


def _readable(read: Callable[[Obj], T | None], obj: Obj) -> T | None:
    """None also for an object that is not as it should be: it says less."""
    try:
        return read(obj)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None

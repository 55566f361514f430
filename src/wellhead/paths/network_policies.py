"""What NetworkPolicies say of a packet that would arrive, judged by the core that enforces them.

A policy is compared with what the pod's own node sees where it forwards: behind destination NAT and before
that node's source NAT. That isn't always what the server sees.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import takewhile
from typing import TypeVar

from wellhead.ip import IPAddress, Protocol, parse_address
from wellhead.paths.client import Client
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, Packet
from wellhead.paths.parties.base import note
from wellhead.paths.reading import Obj, text
from wellhead.paths.way import Decision, Disposition, Step, What
from wellhead.paths.world import World
from wellhead.policies.cluster_policy import ClusterPolicy, parse_cluster_node, parse_cluster_policy
from wellhead.policies.judge import Decided, Judgement, Traffic, judge
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
        if not (self.all or self.cluster) or ending.disposition is not Disposition.DELIVERED:
            return ending
        return self._leaving(ending, client) or self._arriving(ending) or ending

    @cached_property
    def all(self) -> list[Policy]:
        """Every policy that can be read."""
        found = (_readable(parse_policy, each) for each in self._world.all("NetworkPolicy"))
        return [each for each in found if each is not None]

    @cached_property
    def cluster(self) -> list[ClusterPolicy]:
        """Every ClusterNetworkPolicy that can be read."""
        found = (_readable(parse_cluster_policy, each) for each in self._world.all("ClusterNetworkPolicy"))
        return [each for each in found if each is not None]

    @cached_property
    def _nodes(self) -> dict[IPAddress, Pod]:
        found = (_readable(parse_cluster_node, each) for each in self._world.all("Node"))
        return {address: each for each in found if each is not None for address in each.addresses}

    def pod_at(self, address: IPAddress) -> Pod | None:
        """The pod that has an address."""
        return self._pods.get(address)

    def says(
        self, direction: Direction, source: IPAddress, destination: IPAddress, protocol: Protocol, port: int
    ) -> Judgement:
        """What policies say of a connection's first packet, as the judging node sees it."""
        ends = self._pods.get(source), self._pods.get(destination), self._nodes.get(destination)
        traffic = Traffic(source, destination, protocol, port, *ends)
        return judge(traffic, direction, self.all, self._namespaces, self.cluster)

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
        said = self.says(Direction.EGRESS, address, dialled, packet.protocol, _port(packet, client))
        if said.passes:
            return None
        sentence = f"{_names(said)} select{_s(said)} {pod}, and nothing in {_it(said)} lets it dial {dialled}"
        if said.by_cluster is not None:
            sentence = f"{_denies(said.by_cluster)} what {pod} dials at {dialled}"
        kept = packet.having(steps=_until_forwarded(packet.steps, client.node), node=client.node)
        return self._stopped(kept, said, f"{sentence}.", "spec.egress", address)

    def _arriving(self, ending: Ending) -> Ending | None:
        packet = ending.packet
        node, destination = ending.endpoint_node, packet.destination
        pod = self._pods.get(destination) if destination is not None else None
        if destination is None or pod is None or _is_the_nodes_own(packet, node):
            return None
        seen = _seen_by(packet, node or pod.node)
        if seen is None:
            return self._open(ending, pod)
        said = self.says(Direction.INGRESS, seen, destination, packet.protocol, packet.port)
        if said.passes:
            return _passed(ending, said)
        client = _address(packet.steps[0].from_) if packet.steps else None
        sees = f"{pod.node} sees {seen}"
        if client is not None and client != seen:
            sees += f", not {client}"
            if any(each.code is Code.CLUSTER_POLICY for each in packet.steps):
                sees += ", because externalTrafficPolicy is Cluster"
        sentence = f"{_names(said)} select{_s(said)} {pod}, and nothing in {_it(said)} lets this in: {sees}."
        if said.by_cluster is not None:
            sentence = f"{_denies(said.by_cluster)} what comes to {pod}: {sees}."
        kept = packet.having(steps=_before(packet.steps, node), node=node)
        return self._stopped(kept, said, sentence, "spec.ingress", seen)

    def _stopped(
        self, packet: Packet, said: Judgement, sentence: str, field: str, seen: object = None
    ) -> Ending:
        """`seen`: the source where it is judged."""
        code, who = Code.POLICY_DROPS, _ENFORCER
        if said.by_cluster is not None:
            code, who = Code.CLUSTER_POLICY_DENIES, f"Cluster{_ENFORCER}"
            decision = _decision(said.by_cluster)
        else:
            decision = Decision(object=f"NetworkPolicy {said.isolating[0]}", field=field)
        source = packet.source if seen is None else seen
        dropped = packet.step(who, What.DROP, code, sentence, from_=source, decided_by=decision)
        return dropped.noting(note(Code.ASSUMES_POLICIES_ENFORCED)).end(Disposition.DROPPED)

    def _open(self, ending: Ending, pod: Pod) -> Ending | None:
        """The source isn't known. Where nothing asks for it, that doesn't matter."""
        destination = ending.packet.destination
        assert destination is not None
        nowhere = type(destination)(0)  # an address that nobody has
        said = self.says(Direction.INGRESS, nowhere, destination, ending.packet.protocol, ending.packet.port)
        if said.passes:
            return None
        rules = (rule for each in said.isolating for rule in each.ingress or ())
        blocks = any(isinstance(peer, Block) for rule in rules for peer in rule.peers)
        if said.by_cluster is not None or not blocks:
            kept = ending.packet.having(steps=_before(ending.packet.steps, ending.endpoint_node))
            sentence = f"{_names(said)} let{_s(said)} no node in."
            if said.by_cluster is not None:
                sentence = f"{_denies(said.by_cluster)} what comes to {pod}."
            return self._stopped(kept, said, sentence, "spec.ingress")
        sentence = (
            f"{_names(said)} name{_s(said)} networks; whether the address that {pod.node} sees is in one "
            "isn't known."
        )
        open_ = note(Code.UNKNOWN_POLICY_SOURCE, sentence)
        return ending.packet.noting(open_).end(Disposition.UNKNOWN)


def _passed(ending: Ending, said: Judgement) -> Ending | None:
    """What let it in, if anything had to."""
    by = said.allowed_by
    if said.by_cluster is not None:
        sentence = f"ClusterNetworkPolicy {said.by_cluster.policy} accepts it ({_rule(said.by_cluster)})."
        passed = note(Code.CLUSTER_POLICY_ACCEPTS, sentence, _decision(said.by_cluster))
    elif by is not None:
        allows = f"{by.peer}, {by.port}"
        decision = Decision(object=f"NetworkPolicy {by.policy}", field=by.field, value=allows)
        sentence = f"NetworkPolicy {by.policy} lets {by.peer} in ({by.port})."
        passed = note(Code.POLICY_ALLOWS, sentence, decision)
    else:
        return None
    return Ending(
        ending.packet.noting(passed, note(Code.ASSUMES_POLICIES_ENFORCED)),
        ending.disposition,
        ending.endpoint_node,
        ending.endpoint_pod,
        ending.extra,
    )


def _denies(by: Decided) -> str:
    return f"ClusterNetworkPolicy {by.policy} (tier {by.policy.tier}, {_rule(by)}) denies"


def _rule(by: Decided) -> str:
    return f"rule {by.rule.name}" if by.rule.name else by.field


def _decision(by: Decided) -> Decision:
    return Decision(
        object=f"ClusterNetworkPolicy {by.policy}", field=f"{by.field}.action", value=str(by.rule.action)
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


def _until_forwarded(steps: tuple[Step, ...], node: str) -> tuple[Step, ...]:
    """Those before the first node forwards."""
    behind = (What.SNAT, What.DELIVER, What.REPLY, What.FORWARD)
    return tuple(takewhile(lambda each: each.node in (node, "") and each.what not in behind, steps))


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

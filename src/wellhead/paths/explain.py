"""Explaining: the ways from clients to everything that a target can be dialled by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from wellhead.ip import Family, parse_address
from wellhead.paths.client import OUTSIDE, OUTSIDER, Client, node_client, parse_client, pod_client, some_pod
from wellhead.paths.codes import Code
from wellhead.paths.journey import Journeys
from wellhead.paths.network_policies import NetworkPolicies
from wellhead.paths.packet import Ending, Packet
from wellhead.paths.parties.base import note
from wellhead.paths.parties.calico import announced
from wellhead.paths.parties.found import Parties
from wellhead.paths.targets import Dial, Target, find_target
from wellhead.paths.through import Controllers
from wellhead.paths.way import Disposition, Outcome, Report, SeenAs, Way
from wellhead.paths.world import World

_CLIENT_NODES = 4


@dataclass(frozen=True)
class Question:
    """What is asked."""

    target: str
    namespace: str = ""
    from_: tuple[str, ...] = ()
    port: int | None = None
    node: str = ""
    every_client: bool = True
    """Whether clients on every node of a small cluster are answered for, or on those that differ."""


class Explanation:
    """A question about a world, and its ways."""

    def __init__(self, world: World, question: Question) -> None:
        """Raises UnknownTarget and UnknownClient."""
        self.world, self.question = world, question
        self.parties = Parties(world)
        self.journeys = Journeys(world, self.parties, question.node)
        self.policies = NetworkPolicies(world)
        self.controllers = Controllers(world, self.parties, self.journeys)
        self.target: Target = find_target(world, question.target, question.namespace, question.port)
        namespace = question.namespace or (self.target.facts.namespace if self.target.facts else "")
        namespace = namespace or (self.target.pod.namespace if self.target.pod else "") or "default"
        self.namespace = namespace
        self.clients = tuple(parse_client(world, each, namespace) for each in question.from_) or tuple(
            self._usual_clients()
        )

    def _usual_clients(self) -> Iterator[Client]:
        """Outside, and a pod and the node itself on some nodes: with and without endpoints."""
        yield OUTSIDER
        nodes = self._interesting_nodes()
        for name in nodes:
            yield self._pod_on(name)
        for name in nodes:
            yield node_client(self.world, name)

    def _interesting_nodes(self) -> list[str]:
        facts = self.target.facts
        serving: set[str] = set()
        if facts is not None:
            serving = {e.node for p in facts.ports() for e in facts.endpoints(p).values()}
        elif self.target.pod is not None:
            serving = {self.target.pod.node}
        named = [each for each in self.world.nodes if each in serving]
        others = [each for each in self.world.nodes if each not in serving]
        if len(self.world.nodes) <= _CLIENT_NODES and self.question.every_client:
            return list(self.world.nodes)
        return [*named[: 2 if self.question.every_client else 1], *others[:1]]

    def _pod_on(self, node: str) -> Client:
        facts = self.target.facts
        endpoints = {e.ip for p in facts.ports() for e in facts.endpoints(p)} if facts is not None else set()
        for pod in self.world.pods_on(node):
            here = pod.namespace == self.namespace and not pod.host_network
            if here and pod.addresses and not endpoints & set(pod.addresses):
                return pod_client(pod, self.namespace)
        return some_pod(self.world, node)

    def ways(self) -> list[Way]:
        """Every way, those of the asked client to the most important address first."""
        return [self._way(client, dial) for client, dial in self._pairs()]

    def _pairs(self) -> Iterable[tuple[Client, Dial]]:
        by_address = parse_address(
            self.question.target.partition(":")[0]
        ) is not None or self.question.target.startswith("[")
        for client in self.clients:
            for dial in self.target.dials:
                if self.question.node and dial.frontend == "NodePort" and dial.node != self.question.node:
                    continue
                if not client.reaches(dial.family):
                    continue
                if client.kind == OUTSIDE and not by_address and not self._from_outside(dial):
                    continue
                if client.kind != OUTSIDE and dial.frontend == "Ingress" and not self.question.from_:
                    continue
                yield client, dial

    def _from_outside(self, dial: Dial) -> bool:
        """Whether somebody outside is likely to dial it."""
        if dial.frontend == "ClusterIP":
            return dial.address is not None and bool(announced(self.world, dial.address))
        return dial.frontend != "PodIP" or self.parties.network.routes_pods_outside()

    def _way(self, client: Client, dial: Dial) -> Way:
        endings = self.endings(client, dial)
        outcomes = tuple(_whole([each.outcome() for each in endings]))
        address = client.address(dial.family)
        if client.stands_for_many and address is not None:
            outcomes = tuple(_without(each, str(address), client.owner) for each in outcomes)
            address = None
        return Way(
            client=client.text,
            client_address=str(address) if address is not None else None,
            client_node=client.node,
            address=dial.shown,
            port=dial.port,
            protocol=dial.protocol.value,
            family=f"IPv{dial.family.value}",
            frontend=dial.frontend,
            service=str(dial.facts) if dial.facts is not None else "",
            outcomes=outcomes,
            notes=(note(Code.HEADLESS),)
            if self.target.facts is not None and self.target.facts.headless
            else (),
            alike=dial.alike,
        )

    def endings(self, client: Client, dial: Dial) -> list[Ending]:
        """What becomes of a client's connection to one address; never an exception."""
        return [self.policies.judged(each, client) for each in self._unjudged(client, dial)]

    def _unjudged(self, client: Client, dial: Dial) -> list[Ending]:
        if dial.route is not None and dial.facts is not None:
            return self.controllers.through(client, dial, dial.facts, dial.route)
        if dial.frontend == "ExternalName":
            packet = Packet(client.source(dial.family), None, dial.port, dial.protocol, dial.family)
            sentence = f"The Service is an alias: clients dial {dial.shown} and whatever is there."
            return [packet.noting(note(Code.EXTERNAL_NAME, sentence)).end(Disposition.UNKNOWN)]
        if (
            dial.frontend in ("LoadBalancerIP", "Hostname")
            and dial.address is None
            and dial.shown == "<pending>"
        ):
            return [self._pending(client, dial)]
        return self.journeys.send(client, dial.address, dial.port, dial.protocol, dial.family, dial.facts)

    def _pending(self, client: Client, dial: Dial) -> Ending:
        packet = Packet(client.source(dial.family), None, dial.port, dial.protocol, dial.family)
        sentence = (
            f"{dial.facts.title if dial.facts else 'the Service'} has no address in status.loadBalancer."
        )
        pending = note(
            Code.BALANCER_PENDING,
            sentence,
            do="Install a load balancer (MetalLB, a cloud's controller), or dial a node port.",
        )
        return packet.noting(pending).end(Disposition.UNREACHABLE)

    def report(self, ways: Iterable[Way]) -> Report:
        """The ways with the parties and what could not be read."""
        everybody = [*self.parties.everybody(), *self.controllers.seen()]
        return Report(
            target=self.target.title,
            ways=tuple(ways),
            parties=tuple(each.found() for each in everybody),
            unread=self.world.unread,
        )


def _whole(outcomes: list[Outcome]) -> list[Outcome]:
    """Shares that sum to 1 exactly; a way without any outcome is UNKNOWN."""
    if not outcomes:
        return [
            Outcome(
                share=1.0,
                disposition=Disposition.UNKNOWN,
                source=None,
                seen_as=SeenAs.UNKNOWN,
                endpoint=None,
                notes=(note(Code.UNKNOWN_TARGET, "Nothing among the objects says where this leads."),),
            )
        ]
    return outcomes


def _without(outcome: Outcome, example: str, owner: str) -> Outcome:
    """The outcome, with words in place of an address that stands for many."""
    steps = tuple(
        msgspec.structs.replace(
            each,
            from_=owner if each.from_ == example else each.from_,
            to=owner if each.to == example else each.to,
            because=each.because.replace(example, owner),
        )
        for each in outcome.steps
    )
    source = None if outcome.source == example else outcome.source
    return msgspec.structs.replace(outcome, source=source, steps=steps)


def families(target: Target) -> list[Family]:
    return sorted({each.family for each in target.dials})

"""What many clouds' load balancers have in common: proxies that dial node ports, and pass-through ones
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.ip import IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Balancer, Delivery, note
from wellhead.paths.reading import is_true
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Forwarded, SeenAs
from wellhead.paths.world import World


@dataclass(frozen=True)
class CloudProxySpec:
    """One cloud's load balancer, as its annotations say."""

    name: str
    providers: tuple[str, ...]
    """Of Nodes' spec.providerID."""
    prefixes: tuple[str, ...]
    """Of its annotations."""
    proxy_protocol: tuple[str, ...] = ()
    """Annotations that switch PROXY protocol on."""
    version: str = ""
    """Of PROXY protocol, where it is always the same."""
    http: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Annotations, with the values under which it speaks HTTP and adds X-Forwarded-For."""
    pass_through: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Annotations, with the values under which it keeps the source instead."""
    always_pass_through: bool = False
    classes: tuple[str, ...] = ()
    ambiguous: str = ""
    """What else the same objects may stand for."""


class CloudProxy(Balancer):
    """A cloud's load balancer."""

    def __init__(self, world: World, spec: CloudProxySpec, seen: str) -> None:
        super().__init__(spec.name, seen)
        self.world, self.spec = world, spec

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        documented = note(Code.ASSUMES_DOCUMENTED_CLOUD)
        keeps = next((name for name, values in self.spec.pass_through if _says(facts, name, values)), "")
        if keeps or self.spec.always_pass_through:
            return Delivery(
                "node-port",
                code=Code.BALANCER_REWRITES_DESTINATION,
                because=f"{self.name} keeps the source and sends to nodes",
                decided_by=facts.decision(f"metadata.annotations[{keeps}]", facts.annotations[keeps])
                if keeps
                else None,
                notes=(documented,),
            )
        forwarded: tuple[Forwarded, ...] = ()
        asked = next((each for each in self.spec.proxy_protocol if _on(facts.annotations.get(each, ""))), "")
        if asked:
            said = facts.annotations[asked]
            version = self.spec.version or (said if said in ("v1", "v2") else "")
            forwarded = (
                Forwarded(by=self.name, form=f"PROXY protocol {version}".strip(), seen_as=SeenAs.CLIENT),
            )
        elif any(_says(facts, name, values) for name, values in self.spec.http):
            forwarded = (Forwarded(by=self.name, form="X-Forwarded-For", seen_as=SeenAs.CLIENT),)
        notes = [documented]
        if self.spec.ambiguous:
            notes.append(note(Code.AMBIGUOUS_BALANCER, self.spec.ambiguous))
        return Delivery(
            "terminate-node",
            code=Code.BALANCER_TERMINATES,
            because=f"{self.name} ends the client's connection and dials a node port",
            decided_by=facts.decision(f"metadata.annotations[{asked}]", facts.annotations[asked])
            if asked
            else None,
            address_note="an address of the load balancer",
            forwarded=forwarded,
            notes=tuple(notes),
        )


def _on(value: str) -> bool:
    return bool(value) and value.strip().lower() not in ("false", "none", "0", "off", "no", "disabled")


def _says(facts: ServiceFacts, name: str, values: tuple[str, ...]) -> bool:
    said = facts.annotations.get(name, "").lower()
    return said in values if values else is_true(said)


def cloud_proxy(world: World, facts: ServiceFacts, spec: CloudProxySpec) -> Balancer | None:
    """The balancer of a cloud, if the Service has its annotations or the nodes are its machines."""
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    if wanted:
        return CloudProxy(world, spec, "spec.loadBalancerClass") if wanted in spec.classes else None
    annotated = next((each for each in facts.annotations if each.startswith(spec.prefixes)), "")
    node = next((each for each in world.nodes.values() if each.provider in spec.providers), None)
    if annotated:
        return CloudProxy(world, spec, f"annotation {annotated}")
    if node is not None:
        return CloudProxy(world, spec, f"Node {node.name} (spec.providerID {node.provider})")
    return None

"""cloud-provider-kind: an Envoy container on kind's network, which is a proxy.

Source: kubernetes-sigs/cloud-provider-kind README and `pkg/loadbalancer`.
"""

from __future__ import annotations

from wellhead.ip import IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Balancer, Delivery, note
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import World


class CloudProviderKind(Balancer):
    """Its proxy."""

    def __init__(self, world: World) -> None:
        super().__init__("cloud-provider-kind", "ipMode Proxy on Nodes of kind")
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        return Delivery(
            "terminate-node",
            code=Code.BALANCER_TERMINATES,
            because="cloud-provider-kind's Envoy ends the client's connection and dials a node port",
            address=address,
            address_note="the proxy's container",
            notes=(note(Code.ASSUMES_TERMINATES),),
        )


def cloud_provider_kind(world: World, facts: ServiceFacts) -> Balancer | None:
    on_kind = any(each.provider == "kind" for each in world.nodes.values())
    proxied = any(each.mode == "Proxy" for each in facts.balancer_addresses)
    if facts.spec.get("loadBalancerClass") or not (on_kind and proxied):
        return None
    return CloudProviderKind(world)

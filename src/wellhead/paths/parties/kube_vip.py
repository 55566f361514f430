"""kube-vip: one node answers ARP for the address, or BGP announces it.

Source: kube-vip.io/docs (“Flags and environment variables”, “ARP”, “BGP”); the annotation
kube-vip.io/vipHost names the node that has the address.
"""

from __future__ import annotations

from wellhead.ip import IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Balancer, Delivery, named
from wellhead.paths.reading import environment, is_true
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import World

_HOST = "kube-vip.io/vipHost"


class KubeVip(Balancer):
    """Its Service mode."""

    def __init__(self, world: World, seen: str, bgp: bool, election: bool) -> None:
        super().__init__("kube-vip (BGP)" if bgp else "kube-vip (ARP)", seen)
        self.world, self.bgp, self.election = world, bgp, election

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        if self.bgp:
            return Delivery("forward", code=Code.ANNOUNCED_BY_ALL, because=Code.ANNOUNCED_BY_ALL.meaning)
        host = facts.annotations.get(_HOST, "")
        return Delivery(
            "forward",
            nodes=(host,) if host in self.world.nodes else None,
            one_of=True,
            code=Code.ANNOUNCED_BY_ONE,
            because=f"{host} has the address" if host else Code.ANNOUNCED_BY_ONE.meaning,
            decided_by=facts.decision(f"metadata.annotations[{_HOST}]", host) if host else None,
            checks_health=self.election,  # a leader for all Services may have no endpoint
        )


def kube_vip(world: World, facts: ServiceFacts) -> Balancer | None:
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    if wanted and not wanted.startswith("kube-vip.io/"):
        return None
    daemon = world.workload("kube-vip", "kube-vip-ds", image="kube-vip")
    pod = next(iter(world.pods_running("kube-vip")), None)
    annotated = any(each.startswith("kube-vip.io/") for each in facts.annotations)
    if daemon is None and pod is None and not annotated:
        return None
    env = environment(daemon or pod or {})
    seen = named(daemon or pod or {}) if daemon or pod else "annotation kube-vip.io"
    return KubeVip(world, seen, is_true(env.get("bgp_enable", "")), is_true(env.get("svc_election", "")))

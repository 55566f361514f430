"""MetalLB: announcing by one node (layer 2) or by routers (BGP).

Sources: metallb.universe.tf (“Layer 2 mode”, “BGP mode”, “Usage: traffic policies”): under Local only nodes
with endpoints announce; ServiceL2Status names the announcing node; metallb/metallb#257, #1309.
"""

from __future__ import annotations

from wellhead.ip import IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Balancer, Delivery, named
from wellhead.paths.reading import Obj, networks, table, tables, text, texts, within
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Decision
from wellhead.paths.world import World


class MetalLB(Balancer):
    """Its speakers."""

    def __init__(self, world: World, seen: str, one: bool) -> None:
        super().__init__("MetalLB (layer 2)" if one else "MetalLB (BGP)", seen)
        self.world, self.one = world, one

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        allowed = self._nodes_allowed(address)
        if not self.one:
            because = "routers spread connections over the nodes that announce the address"
            return Delivery("forward", nodes=allowed, code=Code.ANNOUNCED_BY_ALL, because=because)
        node, decided = self._announcing(facts)
        because = f"{node} answers ARP for the address" if node else "one node answers ARP for the address"
        return Delivery(
            "forward",
            nodes=(node,) if node else allowed,
            one_of=True,
            code=Code.ANNOUNCED_BY_ONE,
            because=because,
            decided_by=decided,
        )

    def _announcing(self, facts: ServiceFacts) -> tuple[str, Decision | None]:
        for each in self.world.all("ServiceL2Status"):
            status = table(each, "status")
            named_service = (text(status, "serviceNamespace"), text(status, "serviceName"))
            if named_service == (facts.namespace, facts.name) and (node := text(status, "node")):
                return node, Decision(object=named(each), field="status.node", value=node)
        events = [
            each
            for each in self.world.all("Event")
            if text(each, "reason") == "nodeAssigned"
            and text(each, "involvedObject", "name") == facts.name
            and text(each, "involvedObject", "namespace") == facts.namespace
        ]
        for each in sorted(
            events, key=lambda e: text(e, "lastTimestamp") or text(e, "eventTime"), reverse=True
        ):
            node = text(each, "message").partition('"')[2].partition('"')[0]
            if node in self.world.nodes:
                return node, Decision(object=named(each), field="message", value=node)
        return "", None

    def _nodes_allowed(self, address: IPAddress | None) -> tuple[str, ...] | None:
        """Nodes that an advertisement's node selectors choose; None where none is chosen."""
        kind = "L2Advertisement" if self.one else "BGPAdvertisement"
        chosen: set[str] = set()
        for each in self.world.all(kind):
            pools = texts(each, "spec", "ipAddressPools")
            if pools and not any(self._holds(pool, address) for pool in pools):
                continue
            selectors = tables(each, "spec", "nodeSelectors")
            if not selectors:
                return None
            for selector in selectors:
                wanted = {k: str(v) for k, v in table(selector, "matchLabels").items()}
                if selector.get("matchExpressions"):
                    return None
                chosen |= {n.name for n in self.world.nodes.values() if wanted.items() <= n.labels.items()}
        return tuple(sorted(chosen)) or None

    def _holds(self, pool: str, address: IPAddress | None) -> bool:
        found = self.world.get("IPAddressPool", "", pool)
        listed = texts(found, "spec", "addresses")
        if any("-" in each for each in listed):
            return True
        return address is None or within(address, networks(listed))


def metallb(world: World, facts: ServiceFacts) -> Balancer | None:
    if facts.spec.get("loadBalancerClass") and not _is_its_class(world, facts):
        return None
    l2 = next(world.all("L2Advertisement"), None) or next(world.all("ServiceL2Status"), None)
    bgp = next(world.all("BGPAdvertisement"), None)
    pool = next(world.all("IPAddressPool"), None)
    speaker = world.workload("speaker", "metallb-speaker", image="metallb")
    config = world.get("ConfigMap", "metallb-system", "config")
    annotated = any(each.startswith(("metallb.universe.tf/", "metallb.io/")) for each in facts.annotations)
    seen: Obj | None = next((each for each in (l2, bgp, pool, speaker, config) if each is not None), None)
    if seen is None and not annotated:
        return None
    if config is not None and l2 is None and bgp is None:
        one = "protocol: bgp" not in text(config, "data", "config")
    else:
        one = l2 is not None or bgp is None
    return MetalLB(world, named(seen) if seen is not None else "annotation metallb.io", one)


def _is_its_class(world: World, facts: ServiceFacts) -> bool:
    wanted = text(facts.spec, "loadBalancerClass")
    return "metallb" in wanted

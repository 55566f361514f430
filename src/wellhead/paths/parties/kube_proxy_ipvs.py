"""kube-proxy's ipvs mode: what it does otherwise.

Source: `pkg/proxy/ipvs/proxier.go`, kubernetes/kubernetes PR 97081.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Arrival, Verdict, note
from wellhead.paths.parties.kube_proxy import KubeProxy
from wellhead.paths.way import Note
from wellhead.services.names import FrontendKind
from wellhead.services.traffic import usable


class IpvsKubeProxy(KubeProxy):
    """ipvs mode: the Service's addresses are local to every node, and Local falls back to all endpoints."""

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        facts, kind = arrival.facts, arrival.frontend.kind
        if kind is FrontendKind.CLUSTER_IP or not arrival.port.external_local:
            yield from super().decide(arrival)
            return
        reading = self.reading(arrival.node)
        if kind is FrontendKind.EXTERNAL_IP and not reading.external_ips_local:
            yield from super().decide(arrival)
            return
        found = list(super().decide(arrival))
        if found and found[0].code is Code.SOURCE_RANGES:
            yield from found
            return
        known = facts.endpoints(arrival.port, reading)
        local = usable({each: found for each, found in known.items() if found.node == arrival.node})
        chosen = tuple(local or usable(known))
        if not chosen:
            yield from found
            return
        policy = facts.decision("spec.externalTrafficPolicy", "Local")
        for each in chosen:
            masquerade = arrival.packet.source.address == each.ip
            code = Code.LOCAL_POLICY if local else Code.IPVS_LOCAL_FALLBACK
            notes: tuple[Note, ...] = ()
            if arrival.packet.born_here:
                notes = (note(Code.IPVS_SELF_SOURCE),)
            yield Verdict(
                1 / len(chosen),
                "forward",
                Code.HAIRPIN if masquerade else code,
                (Code.HAIRPIN if masquerade else code).meaning,
                each,
                known[each].node,
                masquerade,
                decided_by=policy,
                notes=notes,
            )

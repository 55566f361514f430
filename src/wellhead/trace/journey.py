"""One request as it was seen, from sightings to the value that is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wellhead.ip import bracketed
from wellhead.paths.way import Disposition, Outcome, SeenAs, Way
from wellhead.trace.names import Named, Names, Owner
from wellhead.trace.packet import Flag, Packet
from wellhead.trace.places import Place
from wellhead.trace.request import Answer, Ended
from wellhead.trace.rules import Key, Rule
from wellhead.trace.seen import Leg, Seen
from wellhead.trace.sightings import CountSeen, FlowSeen, Lost, Sighting
from wellhead.trace.steps import steps
from wellhead.trace.values import AnswerView, FlowView, HopView, Trace
from wellhead.trace.views import hop_view

_PORT_UNREACHABLE = ((3, 3), (1, 4))
"""Type and code in ICMP and in ICMPv6."""


@dataclass(frozen=True)
class Asked:
    """What was sent."""

    client: str
    """As a person named it: `client`, `pod/web-0`, `node/node-1`."""
    place: Place
    address: str
    port: int
    protocol: str
    frontend: str = ""
    service: str = ""


def trace(
    asked: Asked,
    seen: Seen,
    answer: Answer,
    names: Names,
    rules: Mapping[tuple[str, Key], Rule],
    sightings: Iterable[Sighting],
    counted: Iterable[CountSeen] = (),
) -> Trace:
    """The value that is shown. `rules` has the texts by place and handle."""
    others = list(sightings)
    start = min((hop.time for hop in seen.legs[0].request if hop.time), default=0)
    views = tuple(
        hop_view(hop, leg.number, direction, names, rules, start)
        for leg in seen.legs
        for direction, passed in (("request", leg.request), ("reply", leg.reply))
        for hop in passed
    )
    way = _way(asked, seen, answer, names, views)
    ends = {
        end for leg in seen.legs for hop in leg.request for pair in (hop.arrived, hop.left) for end in pair
    }
    known = {str(end) for end in ends}
    flows = tuple(
        FlowView(
            place=names.place(flow.place),
            original=_pair(flow.source, flow.destination),
            reply=_pair(flow.answered_by, flow.answered_to),
        )
        for flow in others
        if isinstance(flow, FlowSeen) and {_end(flow.source), _end(flow.destination)} <= known
    )
    return Trace(
        way=way,
        hops=views,
        flows=flows,
        answer=AnswerView(ended=answer.ended, status=answer.status, said=answer.said, body=answer.body),
        counted=tuple(f"{names.place(each.place)}: {each.counter} +{each.times}" for each in counted),
        incomplete=tuple(sorted({names.place(each.place) for each in others if isinstance(each, Lost)})),
    )


def _way(asked: Asked, seen: Seen, answer: Answer, names: Names, views: Sequence[HopView]) -> Way:
    first, last = seen.legs[0], seen.legs[-1]
    client = first.request[0].arrived[0] if first.request else None
    end = last.request[-1] if last.request else None
    disposition = _disposition(last, answer)
    delivered = disposition is Disposition.DELIVERED and end is not None
    source = end.left[0].ip if delivered and end is not None else None
    owner = names.of(source) if source is not None else None
    endpoint = end.left[1] if delivered and end is not None else None
    target = names.of(endpoint.ip) if endpoint is not None else None
    outcome = Outcome(
        share=1.0,
        disposition=disposition,
        source=str(source) if source is not None else None,
        seen_as=_seen_as(source == client.ip if client and source else False, owner, delivered=delivered),
        source_note=str(owner) if owner is not None else "",
        source_owner=owner.name if owner is not None else "",
        enters=_ingress(views),
        endpoint=str(endpoint) if endpoint is not None else None,
        endpoint_pod=target.name if target is not None and target.owner is Owner.POD else "",
        endpoint_node=target.node if target is not None else "",
        steps=tuple(steps(seen, names, views, disposition, answer)),
    )
    return Way(
        client=asked.client,
        client_address=str(client.ip) if client is not None else None,
        client_node=asked.place.node if asked.place.pod else "",
        address=asked.address,
        port=asked.port,
        protocol=asked.protocol,
        family="IPv6" if ":" in asked.address else "IPv4",
        frontend=asked.frontend,
        service=asked.service,
        outcomes=(outcome,),
    )


def _disposition(leg: Leg, answer: Answer) -> Disposition:
    """By what came back, which a client's system may tell it late: of the first ICMPv6 error, not at all."""
    if answer.ended is Ended.ANSWERED:
        return Disposition.DELIVERED
    back = [frame.packet for hop in leg.reply for frame in hop.frames]
    if answer.ended is Ended.REFUSED or any(map(_refuses, back)):
        return Disposition.REFUSED
    if answer.ended is Ended.UNREACHABLE or any(packet.icmp is not None for packet in back):
        return Disposition.UNREACHABLE
    return Disposition.DROPPED


def _refuses(packet: Packet) -> bool:
    """A reset, or an ICMP error that says that nobody listens at this port."""
    return packet.icmp in _PORT_UNREACHABLE or bool(packet.flags & Flag.RST)


def _seen_as(same: bool, owner: Named | None, *, delivered: bool) -> SeenAs:
    if not delivered:
        return SeenAs.UNKNOWN
    if same:
        return SeenAs.CLIENT
    if owner is None:
        return SeenAs.OTHER
    return {
        Owner.CLIENT: SeenAs.CLIENT,
        Owner.NODE: SeenAs.NODE,
        Owner.POD: SeenAs.POD,
        Owner.BALANCER: SeenAs.BALANCER,
    }.get(owner.owner, SeenAs.OTHER)


def _ingress(views: Sequence[HopView]) -> str:
    """The place whose rules chose the endpoint."""
    chosen = [
        hop.place
        for hop in views
        if hop.direction == "request"
        and any(change.what == "destination" and "proxy" in change.who for change in hop.rewrites)
    ]
    return chosen[-1] if chosen else ""


def _end(end: tuple[str, int]) -> str:
    return f"{bracketed(end[0])}:{end[1]}"


def _pair(source: tuple[str, int], destination: tuple[str, int]) -> str:
    return f"{_end(source)} > {_end(destination)}"

"""One request as it was seen, from sightings to the value that is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from wellhead.linux.numbers import Table
from wellhead.paths.codes import Code
from wellhead.paths.way import Decision, Disposition, Outcome, SeenAs, Step, Value, Way, What
from wellhead.trace.hops import ACCEPT, DROP, Ends, Hop, Rewrite, hops
from wellhead.trace.names import Named, Names, Owner
from wellhead.trace.packet import TCP, UDP, Flag, Packet, of_frame
from wellhead.trace.places import Place
from wellhead.trace.request import Answer, Ended
from wellhead.trace.rules import Key, Rule
from wellhead.trace.sightings import CountSeen, FlowSeen, Lost, PacketSeen, RuleSeen, Sighting
from wellhead.trace.token import Token

VERSION = "wellhead.dev/trace/v1"
"""The version of the published form. Fields may be added to it; none changes its meaning."""

_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}
_TRANSLATING = ("dnat", "snat", "masquerade", "redirect", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP")
_PORT_UNREACHABLE = ((3, 3), (1, 4))
"""Type and code in ICMP and in ICMPv6."""
_MARKING = ("MARK-MASQ", "mark set")


class RuleView(Value, frozen=True, kw_only=True):
    """A rule that the packet met."""

    table: str
    chain: str
    text: str
    """In its backend's own words; '' for the end of a chain."""
    verdict: str
    owner: str
    service: str = ""


class RewriteView(Value, frozen=True, kw_only=True):
    """An address that changed at a hop."""

    what: str
    """source or destination"""
    from_: str = msgspec.field(name="from")
    to: str
    who: str
    rule: str = ""
    """'' where conntrack undid what was done on the way there."""
    reason: str = ""
    """The rule that asked for it, where that is another one."""
    service: str = ""


class HopView(Value, frozen=True, kw_only=True):
    """A place that the packet came through."""

    place: str
    leg: int
    """1; behind a terminating proxy, 2."""
    direction: str
    """request or reply"""
    microseconds: float
    """Since the client sent it. The times are the instrument's: traced packets take longer."""
    interface_in: str
    interface_out: str
    source: str
    destination: str
    rewrites: tuple[RewriteView, ...]
    rules: tuple[RuleView, ...]
    dropped: bool
    tunnelled: bool
    evidence: tuple[str, ...]
    """trace, packet, conntrack"""


class FlowView(Value, frozen=True, kw_only=True):
    """What conntrack remembers of it in a place."""

    place: str
    original: str
    reply: str


class AnswerView(Value, frozen=True, kw_only=True):
    """What the client got."""

    ended: str
    status: int
    said: str
    body: str


class Trace(Value, frozen=True, kw_only=True):
    """A request that was sent and followed."""

    api_version: str = msgspec.field(default=VERSION, name="apiVersion")
    kind: str = "Trace"
    way: Way
    hops: tuple[HopView, ...]
    flows: tuple[FlowView, ...]
    answer: AnswerView
    counted: tuple[str, ...] = ()
    """Counters of packets thrown away that grew meanwhile: others' packets count, too."""
    incomplete: tuple[str, ...] = ()
    """Places where more came than there was room for."""


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


@dataclass(frozen=True)
class _Leg:
    number: int
    request: list[Hop]
    reply: list[Hop]


class Seen:
    """What was seen of one token, sorted out as far as headers alone tell."""

    def __init__(
        self, sightings: Sequence[Sighting], token: Token, tunnel_ports: frozenset[int] = frozenset()
    ) -> None:
        self._sightings = sightings
        self._token = token
        self._ports = tunnel_ports
        request = hops(sightings, self._asks, tunnel_ports)
        self._client = request[0].arrived if request else None
        self.legs = [_Leg(1, request, hops(sightings, self._answers, tunnel_ports))]
        if (second := self._second()) is not None:
            self.legs.append(second)

    @property
    def rules(self) -> set[Key]:
        """The rules whose texts are needed."""
        return {
            (met.seen.family, met.seen.table, met.seen.chain, met.seen.handle)
            for leg in self.legs
            for hop in (*leg.request, *leg.reply)
            for met in hop.met
            if met.seen.handle
        }

    def rules_of(self, place: str) -> set[Key]:
        return {
            (met.seen.family, met.seen.table, met.seen.chain, met.seen.handle)
            for leg in self.legs
            for hop in (*leg.request, *leg.reply)
            if hop.place == place
            for met in hop.met
            if met.seen.handle
        }

    @property
    def places(self) -> set[str]:
        """Where it was seen."""
        return {hop.place for leg in self.legs for hop in (*leg.request, *leg.reply)}

    @property
    def is_over(self) -> bool:
        """Whether a rule has ended the request, so that nothing can come back any more."""
        return any(hop.dropped_by is not None for hop in self.legs[-1].request)

    def _asks(self, packet: Packet) -> bool:
        return self._token.sent(packet) and (packet.protocol == UDP or packet.flags & ~Flag.PSH == Flag.SYN)

    def _answers(self, packet: Packet) -> bool:
        """The first packet that comes back: SYN/ACK or reset, a datagram, an ICMP error about the request."""
        if packet.quoted is not None:
            return self._token.sent(packet.quoted) or self._is_datagram(packet.quoted)
        if packet.protocol == TCP:
            return self._token.answered(packet) and bool(packet.flags & (Flag.SYN | Flag.RST))
        return packet.protocol == UDP and self._is_reply(packet)

    def _is_datagram(self, packet: Packet) -> bool:
        return packet.protocol == UDP and packet.ends in self._datagrams

    def _is_reply(self, packet: Packet) -> bool:
        return (packet.destination, packet.source) in self._datagrams

    @property
    def _datagrams(self) -> set[Ends]:
        """The ends that the client's datagram had anywhere: replies have them the other way round."""
        found: set[Ends] = set()
        for each in self._sightings:
            if isinstance(each, PacketSeen):
                packet = of_frame(each.frame, self._ports)
                packet = packet.inner or packet if packet is not None else None
                if packet is not None and packet.protocol == UDP and self._token.sent(packet):
                    found.add(packet.ends)
        return found

    def _second(self) -> _Leg | None:
        """Behind a terminating proxy: the connection whose payload carries the token."""
        if not self.legs[0].request:
            return None
        first = {hop.arrived for hop in self.legs[0].request} | {hop.left for hop in self.legs[0].request}
        carrying: set[Ends] = set()
        syns: dict[Ends, int] = {}
        for each in self._sightings:
            if isinstance(each, PacketSeen) and (packet := of_frame(each.frame, self._ports)) is not None:
                packet = packet.inner or packet
                if packet.protocol != TCP or self._token.sent(packet) or packet.ends in first:
                    continue
                if packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN:
                    syns[packet.ends] = packet.sequence
                elif self._token.text.encode() in packet.payload:
                    carrying.add(packet.ends)
        sequences = {syns[ends] for ends in carrying if ends in syns}
        if not sequences:
            return None

        def asks(packet: Packet) -> bool:
            return (
                packet.protocol == TCP
                and packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN
                and packet.sequence in sequences
            )

        def answers(packet: Packet) -> bool:
            flags = packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN | Flag.ACK
            return packet.protocol == TCP and flags and (packet.acknowledged - 1) % (1 << 32) in sequences

        request = hops(self._sightings, asks, self._ports)
        return _Leg(2, request, hops(self._sightings, answers, self._ports)) if request else None


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
        _hop_view(hop, leg.number, direction, names, rules, start)
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


def _hop_view(
    hop: Hop, leg: int, direction: str, names: Names, rules: Mapping[tuple[str, Key], Rule], start: int
) -> HopView:
    found = [(met.seen, _rule(hop.place, met.seen, rules)) for met in hop.met]
    evidence = [*(["packet"] if hop.frames else []), *(["trace"] if hop.met else [])]
    source, destination = hop.arrived
    return HopView(
        place=names.place(hop.place),
        leg=leg,
        direction=direction,
        microseconds=round((hop.time - start) / 1000, 1) if hop.time and start else 0.0,
        interface_in=hop.interface_in,
        interface_out=hop.interface_out,
        source=str(source),
        destination=str(destination),
        rewrites=tuple(
            view for rewrite in hop.rewrites for view in _rewrite_views(hop, rewrite, found, rules)
        ),
        rules=tuple(
            RuleView(
                table=rule.table,
                chain=rule.chain,
                text=rule.text,
                verdict=_VERDICTS.get(seen.verdict, str(seen.verdict))
                + (f" {seen.target}" if seen.target else ""),
                owner=rule.owner,
                service=rule.service,
            )
            for seen, rule in found
            if seen.table != Table.TRACE and (seen.handle or seen.verdict in (ACCEPT, DROP))
        ),
        dropped=hop.dropped_by is not None,
        tunnelled=any(frame.tunnelled for frame in hop.frames),
        evidence=tuple(evidence),
    )


def _rule(place: str, seen: RuleSeen, rules: Mapping[tuple[str, Key], Rule]) -> Rule:
    key = (seen.family, seen.table, seen.chain, seen.handle)
    family = {1: "inet", 2: "ip", 10: "ip6"}.get(seen.family, "inet")
    return rules.get((place, key)) or Rule(f"{family} {seen.table}", seen.chain, seen.legacy)


def _rewrite_views(
    hop: Hop,
    rewrite: Rewrite,
    found: Sequence[tuple[RuleSeen, Rule]],
    rules: Mapping[tuple[str, Key], Rule],
) -> Iterable[RewriteView]:
    rule = _rule(hop.place, rewrite.rule, rules) if rewrite.rule is not None else None
    if rule is not None and rule.text and not any(verb in rule.text for verb in _TRANSLATING):
        rule = None  # it only let the packet pass: conntrack undid a translation
    service = rule.service if rule is not None else ""
    marking = next((each for _, each in found if any(word in each.text for word in _MARKING)), None)
    asking = next((each for seen, each in found if seen.target.endswith("MARK-MASQ")), marking)
    for what, before, after in zip(("source", "destination"), rewrite.before, rewrite.after, strict=True):
        if before == after:
            continue
        reason = asking.text if asking is not None and what == "source" and rule is not None else ""
        yield RewriteView(
            what=what,
            from_=str(before),
            to=str(after),
            who=rule.owner if rule is not None else "conntrack",
            rule=rule.text if rule is not None else "",
            reason=reason,
            service=service or (asking.service if reason and asking is not None else ""),
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
        steps=tuple(_steps(seen, names, views, disposition, answer)),
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


def _disposition(leg: _Leg, answer: Answer) -> Disposition:
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


def _steps(
    seen: Seen, names: Names, views: Sequence[HopView], disposition: Disposition, answer: Answer
) -> Iterable[Step]:
    for leg in seen.legs:
        asking = [view for view in views if view.leg == leg.number and view.direction == "request"]
        if not asking:
            continue
        first = asking[0]
        yield Step(
            who=first.place,
            what=What.SEND if leg.number == 1 else What.TERMINATE,
            from_=first.source,
            to=first.destination,
            code=Code.SENT if leg.number == 1 else Code.BALANCER_TERMINATES,
            because=f"{first.place} sends from {first.source} to {first.destination}."
            if leg.number == 1
            else f"{first.place} ends the client's connection and opens its own from {first.source}.",
            evidence=" ".join(first.evidence),
            seconds=first.microseconds / 1e6,
        )
        yield from (step for view in asking for step in _changes(view, names))
        last = asking[-1]
        if last.dropped:
            yield _ended(last, leg.request[-1], names)
    if disposition is Disposition.DELIVERED and seen.legs[-1].request:
        end, last = seen.legs[-1].request[-1], [v for v in views if v.direction == "request"][-1]
        yield Step(
            who=last.place,
            what=What.DELIVER,
            from_=str(end.left[0]),
            to=str(end.left[1]),
            code=Code.DELIVERED,
            because=f"The server sees {end.left[0].ip}.",
            evidence=" ".join(last.evidence),
            seconds=last.microseconds / 1e6,
        )
    elif disposition is not Disposition.DELIVERED and not any(view.dropped for view in views):
        asking = [view for view in views if view.direction == "request"]
        if asking:
            yield Step(
                who=asking[-1].place,
                what=What.REFUSE if disposition is Disposition.REFUSED else What.DROP,
                from_=asking[-1].source,
                to=asking[-1].destination,
                code=Code.LAST_SEEN,
                because=f"It was last seen at {asking[-1].place}; "
                f"the client got: {answer.said or answer.ended}.",
                evidence=" ".join(asking[-1].evidence),
                seconds=asking[-1].microseconds / 1e6,
            )
    for view in views:
        if view.direction == "reply":
            yield from (
                Step(
                    who=f"{change.who} on {view.place}",
                    what=What.REPLY,
                    from_=change.from_,
                    to=change.to,
                    code=Code.REPLY_RESTORED,
                    because=f"On the way back, {view.place} restores the {change.what}.",
                    node=view.place if view.place in names.nodes else "",
                    evidence=" ".join(view.evidence),
                    seconds=view.microseconds / 1e6,
                )
                for change in view.rewrites
            )


def _changes(view: HopView, names: Names) -> Iterable[Step]:
    for change in view.rewrites:
        what = What.DNAT if change.what == "destination" else What.SNAT
        because = f"A rule of {change.who} rewrites the {change.what}: {change.rule}"
        if not change.rule:
            because = f"The {change.what} is rewritten; which rule did it was not seen."
        elif change.reason:
            because += f" (asked for by: {change.reason})"
        yield Step(
            who=f"{change.who} on {view.place}",
            what=what,
            from_=change.from_,
            to=change.to,
            code=Code.REWRITTEN_BY_RULE,
            because=because,
            decided_by=Decision(object=f"Service {change.service}") if change.service else None,
            node=view.place if view.place in names.nodes else "",
            evidence=" ".join(view.evidence),
            seconds=view.microseconds / 1e6,
        )


def _ended(view: HopView, hop: Hop, names: Names) -> Step:
    rule = view.rules[-1] if view.rules else None
    refused = rule is not None and Rule(rule.table, rule.chain, rule.text).refuses
    words = (rule.text or f"the policy of chain {rule.chain} in table {rule.table}") if rule else "a rule"
    return Step(
        who=f"{rule.owner if rule else 'netfilter'} on {view.place}",
        what=What.REFUSE if refused else What.DROP,
        from_=str(hop.left[0]),
        to=str(hop.left[1]),
        code=Code.REFUSED_BY_RULE if refused else Code.DROPPED_BY_RULE,
        because=f"{'Refused' if refused else 'Dropped'} on {view.place} by: {words}",
        decided_by=Decision(object=f"Service {rule.service}") if rule and rule.service else None,
        node=view.place if view.place in names.nodes else "",
        evidence=" ".join(view.evidence),
        seconds=view.microseconds / 1e6,
    )


def _end(end: tuple[str, int]) -> str:
    host = f"[{end[0]}]" if ":" in end[0] else end[0]
    return f"{host}:{end[1]}"


def _pair(source: tuple[str, int], destination: tuple[str, int]) -> str:
    return f"{_end(source)} > {_end(destination)}"

"""The chains and rules: the same few for any number of Services.

Chains that depend on something are made when a Service first needs them: one for each routing (which the core
has a dozen of), each number of endpoints, each affinity timeout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wellhead.ip import Family
from wellhead.linux.nftables import types
from wellhead.linux.nftables.expressions import (
    CT_STATE,
    CT_STATUS,
    DADDR,
    IIFNAME,
    L4PROTO,
    MARK,
    PRIORITY,
    SADDR,
    TH_DPORT,
    Bits,
    Concat,
    Fib,
    Lookup,
    NetworkOrder,
    Number,
    Random,
    concat,
)
from wellhead.linux.nftables.objects import Chain, Hook, Rule, rule
from wellhead.linux.nftables.statements import (
    DROP,
    MASQUERADE_FULLY_RANDOM,
    Assign,
    Dnat,
    DynamicOperation,
    Has,
    InNetwork,
    InSet,
    Is,
    Reject,
    Remember,
    Verdict,
    VerdictMap,
)
from wellhead.linux.numbers import HookPriority
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.dispatch import HANDLINGS, RESTRICTED, Dispatch, handling_chain, pick
from wellhead.proxy.claims import sets
from wellhead.proxy.claims.chains import claim_chains
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.marks import Marks
from wellhead.services.node import Detector, FromBridge, FromNetwork
from wellhead.services.view import Action, Handling, Routing, Scope

SERVICES = "services"
SERVICE = "service"
NODE_PORTS = "node-ports"
NODE_PORT = "node-port"
MASQUERADE = "masquerading"
PRESERVE = "preserving"

_DSTNAT, _SRCNAT = HookPriority.PROXY_DSTNAT, HookPriority.PROXY_SRCNAT
_ALL = 0xFFFFFFFF
_LOCAL = types.FIB_ADDRTYPE.pack(2)  # RTN_LOCAL
_INVALID, _DNAT = 1, 0x20  # of ct state, of ct status
_ID = (types.CLASSID,)
_CODE = Bits(PRIORITY, layout.CODE_MASK)
_WITHOUT_CODE = rule(Assign(PRIORITY, Bits(PRIORITY, layout.NUMBER_AND_SCOPE_MASK)))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules depend on besides Services."""

    family: Family
    detector: Detector | None = None
    marks: Marks = field(default_factory=Marks)
    drop_invalid: bool = True
    """Whether packets that conntrack calls INVALID are dropped."""
    claims: SourceClaims = "auto"
    """Whose sources are kept from others' masquerading."""


def _remember_chain(seconds: int) -> str:
    return f"remember-{seconds}"


def base_chains(surroundings: Surroundings) -> tuple[Chain, ...]:
    """The chains that are always there, callees first."""
    return _Compiler(surroundings).base_chains()


def chains_for(dispatch: Dispatch, surroundings: Surroundings) -> Iterator[Chain]:
    """The chain that a code leads to, after those that it needs itself. Base chains are not among them."""
    compiler = _Compiler(surroundings)
    if dispatch.routing is not None:
        yield from compiler.routing(dispatch.chain, dispatch.routing, dispatch.number)
    elif dispatch.map == layout.SLOT_PICKS:
        yield compiler.pick_slot(dispatch)
    elif dispatch.code <= layout.MAX_ENDPOINTS:
        yield compiler.pick(dispatch)
    else:
        yield compiler.remember(dispatch.number)
        yield compiler.affinity(dispatch)


class _Compiler:
    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.marks = surroundings.marks
        self.family = family = surroundings.family
        self.source, self.destination = SADDR[family], DADDR[family]
        self.target = (self.destination.type, types.INET_SERVICE)
        dialled = concat(self.destination, L4PROTO, TH_DPORT)
        self.find_service = Assign(PRIORITY, Lookup(dialled, layout.SERVICES, _ID))
        self.find_node_port = Assign(PRIORITY, Lookup(concat(L4PROTO, TH_DPORT), layout.NODE_PORTS, _ID))

    # ---- always there

    def base_chains(self) -> tuple[Chain, ...]:
        to_services = (rule(Verdict(SERVICES, returns=True)),)
        return (
            *(Chain(handling_chain(each), self.handling(each)) for each in HANDLINGS),
            Chain(MASQUERADE, self.masquerade()),
            Chain(PRESERVE, self.preserve()),
            Chain(SERVICE, self.decide(self.find_service)),
            Chain(NODE_PORT, self.decide(self.find_node_port)),
            Chain(NODE_PORTS, (rule(self.find_node_port, Verdict(NODE_PORT)),)),
            Chain(SERVICES, self.services()),
            Chain("nat-prerouting", to_services, Hook("nat", "prerouting", _DSTNAT)),
            Chain("nat-output", to_services, Hook("nat", "output", _DSTNAT)),
            *self.claims(),
            Chain("nat-postrouting", self.postrouting(), Hook("nat", "postrouting", _SRCNAT)),
            Chain("filter-forward", self.forward(), Hook("filter", "forward", HookPriority.PROXY_FILTER)),
        )

    def claims(self) -> Iterator[Chain]:
        surroundings = self.surroundings
        return claim_chains(
            self.family,
            surroundings.claims,
            self.marks,
            detects=surroundings.detector is not None,
            clears_priority=True,
        )

    def services(self) -> tuple[Rule, ...]:
        return (
            rule(self.find_service, Verdict(SERVICE)),
            rule(
                InSet(self.destination, sets.NODE_PORT_ADDRESSES),
                Is(Fib.DADDR_TYPE, _LOCAL),
                Verdict(NODE_PORTS, returns=True),
            ),
            rule(
                InSet(self.destination, sets.CLUSTER_IPS),
                Reject(self.family),
                comment="a port that the Service has not",
            ),
            rule(
                InSet(self.destination, layout.SERVICE_RANGES),
                DROP,
                comment="an address that no Service has",
            ),
        )

    def decide(self, find: Assign) -> tuple[Rule, ...]:
        """Decide about a packet, and once more from the start if that came to nothing.

        A transaction comes into force between two look-ups of one packet, too: the first may say two
        endpoints, and the second not find the second one any more.
        """
        by_policy = VerdictMap(_CODE, layout.POLICIES)
        return (
            rule(by_policy),
            rule(find, by_policy, comment="the maps changed between two look-ups"),
            rule(DROP),
        )

    def masquerade(self) -> tuple[Rule, ...]:
        # The mark has done its work; a packet that is encapsulated and comes by again must not carry it.
        both = self.marks.masquerade | self.marks.preserve
        return (rule(Assign(MARK, Bits(MARK, ~both))), rule(MASQUERADE_FULLY_RANDOM))

    def preserve(self) -> tuple[Rule, ...]:
        return (
            rule(Assign(MARK, Bits(MARK, ~self.marks.preserve))),
            rule(
                InSet(self.destination, sets.RETURNING, absent=True),
                MASQUERADE_FULLY_RANDOM,
                comment="its replies would not come back",
            ),
        )

    def postrouting(self) -> tuple[Rule, ...]:
        translated = Has(CT_STATUS, _DNAT)
        return (
            rule(
                translated,
                Assign(PRIORITY, Number(0, types.CLASSID)),
                comment="the Service port's id has done its work",
            ),
            rule(Has(MARK, self.marks.masquerade), Verdict(MASQUERADE)),
            rule(Has(MARK, self.marks.preserve), Verdict(PRESERVE)),
            rule(
                translated,
                InSet(concat(self.source, self.destination), sets.HAIRPINS),
                MASQUERADE_FULLY_RANDOM,
                comment="a pod that reaches itself must see another source than its own",
            ),
        )

    def forward(self) -> tuple[Rule, ...]:
        if not self.surroundings.drop_invalid:
            return ()
        return (
            rule(
                Has(CT_STATE, _INVALID),
                DROP,
                comment="not translated: its receiver would reset the connection",
            ),
        )

    def handling(self, handling: Handling, endpoints: int = 0) -> tuple[Rule, ...]:
        """What is done with a packet. `endpoints`: how many there are to choose from, where that is known."""
        if handling.action is Action.REJECT:
            return (rule(Reject(self.family)),)
        if handling.action is Action.DROP:
            return (rule(DROP),)
        rules = []
        if handling.preserve:
            otherwise = Verdict(handling_chain(handling._replace(preserve=False), endpoints))
            rules += [
                rule(InSet(self.source, layout.INSIDE), otherwise),
                rule(Assign(MARK, Bits(MARK, _ALL, self.marks.preserve))),
            ]
        elif handling.masquerade:
            rules.append(rule(Assign(MARK, Bits(MARK, _ALL, self.marks.masquerade))))
        if endpoints:
            return (*rules, rule(Verdict(pick(endpoints).chain)))
        rules += [
            rule(Assign(PRIORITY, Bits(PRIORITY, layout.NUMBER_MASK, _bit(handling.scope)))),
            _next(layout.ENDPOINT_COUNTS),
            rule(VerdictMap(_CODE, layout.PICKS)),
        ]
        return tuple(rules)

    # ---- by routing

    def routing(self, name: str, routing: Routing, endpoints: int) -> Iterator[Chain]:
        if name.startswith(RESTRICTED):
            inner = name.removeprefix(RESTRICTED)
            yield from self.routing(inner, routing, endpoints)
            # In interval sets of several fields, numbers are in network order.
            client = concat(NetworkOrder(Bits(PRIORITY, layout.NUMBER_MASK)), self.source)
            outside = rule(InSet(client, layout.SOURCE_RANGES, absent=True), DROP)
            yield Chain(name, (outside, rule(Verdict(inner))))
            return
        if endpoints:
            yield from self._counted(routing, endpoints)
        if not (routing.pods == routing.node == routing.others):
            yield Chain(name, tuple(self._by_origin(routing, endpoints)))

    def _counted(self, routing: Routing, endpoints: int) -> Iterator[Chain]:
        """The chains that mark a packet and go on to one of so many endpoints."""
        for handling in dict.fromkeys(routing):
            if handling.preserve:
                masquerades = handling._replace(preserve=False)
                yield Chain(handling_chain(masquerades, endpoints), self.handling(masquerades, endpoints))
            if handling.masquerade:
                yield Chain(handling_chain(handling, endpoints), self.handling(handling, endpoints))

    def _by_origin(self, routing: Routing, endpoints: int) -> Iterator[Rule]:
        detector = self.surroundings.detector
        if detector is not None and not (routing.pods == routing.node == routing.others):
            to = Verdict(handling_chain(routing.pods, endpoints))
            yield rule(self._from_pods(detector), to, comment="this node's pods")
        if routing.node != routing.others:
            to = Verdict(handling_chain(routing.node, endpoints))
            yield rule(Is(Fib.SADDR_TYPE, _LOCAL), to, comment="this node")
        yield rule(Verdict(handling_chain(routing.others, endpoints)))

    def _from_pods(self, detector: Detector) -> InNetwork | Is:
        if isinstance(detector, FromNetwork):
            return InNetwork(self.source, detector.network)
        if isinstance(detector, FromBridge):
            return Is(IIFNAME, detector.interface.encode().ljust(types.IFNAME.size, b"\0"))
        return Is(IIFNAME, detector.prefix.encode())

    # ---- by number of endpoints and by affinity timeout

    def pick(self, dispatch: Dispatch) -> Chain:
        key = concat(L4PROTO, PRIORITY, Random(dispatch.number))
        without_code = Assign(PRIORITY, Bits(PRIORITY, layout.NUMBER_AND_SCOPE_MASK))
        return Chain(dispatch.chain, (rule(without_code, self._to(key, layout.ENDPOINTS)),))

    def pick_slot(self, dispatch: Dispatch) -> Chain:
        key = concat(PRIORITY, Random(dispatch.number))
        return Chain(dispatch.chain, (_WITHOUT_CODE, rule(Assign(PRIORITY, Lookup(key, layout.SLOTS, _ID)))))

    def affinity(self, dispatch: Dispatch) -> Chain:
        """To the endpoint that the client is known to use, if that is still one, or to another."""
        remember = _remember_chain(dispatch.number)
        rules = (
            # A client is remembered once, whichever of the Service's addresses it dials.
            rule(Assign(PRIORITY, Bits(PRIORITY, layout.NUMBER_MASK))),
            rule(Assign(PRIORITY, Lookup(concat(PRIORITY, self.source), layout.AFFINITY, _ID))),
            rule(Assign(PRIORITY, Bits(PRIORITY, ~layout.LOCAL, _bit(dispatch.scope)))),
            rule(Is(_CODE, types.CLASSID.pack(0), differs=True), Verdict(remember, returns=True)),
            _WITHOUT_CODE,
            rule(
                self._remember(DynamicOperation.DELETE),
                comment="an update would not replace what is remembered",
            ),
            _next(layout.SLOT_COUNTS),
            rule(VerdictMap(_CODE, layout.SLOT_PICKS)),
            rule(Verdict(remember)),
        )
        return Chain(dispatch.chain, rules)

    def remember(self, seconds: int) -> Chain:
        return Chain(
            _remember_chain(seconds),
            (
                rule(self._remember(DynamicOperation.UPDATE, seconds)),
                rule(self._to(concat(L4PROTO, PRIORITY), layout.SLOT_ENDPOINTS)),
            ),
        )

    def _remember(self, operation: DynamicOperation, seconds: int = 0) -> Remember:
        """Of a client of a Service port, by its number: number, scope and slot."""
        client = concat(Bits(PRIORITY, layout.NUMBER_MASK), self.source)
        return Remember(operation, layout.AFFINITY, client, PRIORITY, seconds)

    def _to(self, key: Concat, map: str) -> Dnat:
        return Dnat(self.family, Lookup(key, map, self.target))


def _bit(scope: Scope) -> int:
    return layout.LOCAL if scope is Scope.LOCAL else 0


def _next(map: str) -> Rule:
    """Replace the id by what a map has for it: the same with another code."""
    return rule(Assign(PRIORITY, Lookup(PRIORITY, map, _ID)))

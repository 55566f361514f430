"""The chains and rules: the same few for any number of Services.

Chains that depend on something are made when a Service first needs them: one for each routing (which the core
has a dozen of), each number of endpoints, each affinity timeout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wellhead.ip import Family
from wellhead.proxy.backends.nftables import expressions as expr
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.dispatch import HANDLINGS, RESTRICTED, Dispatch, handling_chain
from wellhead.proxy.backends.nftables.layout import word
from wellhead.proxy.backends.nftables.objects import Chain, Hook, Rule
from wellhead.proxy.marks import Marks
from wellhead.services.node import Detector, FromBridge, FromNetwork
from wellhead.services.view import Action, Handling, Routing, Scope

SERVICES = "services"
SERVICE = "service"
NODE_PORTS = "node-ports"
NODE_PORT = "node-port"
POLICY = "by-policy"
MASQUERADE = "masquerading"
PRESERVE = "preserving"

_RTN_LOCAL = word(2)
_CT_INVALID = word(1)
_CT_DNAT = word(0x20)
_IFNAMSIZ = 16


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules depend on besides Services."""

    family: Family
    detector: Detector | None = None
    marks: Marks = field(default_factory=Marks)
    drop_invalid: bool = True
    """Whether packets that conntrack calls INVALID are dropped."""


def _remember_chain(seconds: int) -> str:
    return f"remember-{seconds}"


def base_chains(surroundings: Surroundings) -> tuple[Chain, ...]:
    """The chains that are always there, callees first."""
    return _Compiler(surroundings).base_chains()


def chains_for(dispatch: Dispatch, surroundings: Surroundings) -> Iterator[Chain]:
    """The chain that a code leads to, after those that it needs itself. Base chains are not among them."""
    compiler = _Compiler(surroundings)
    if dispatch.routing is not None:
        yield from compiler.routing(dispatch.chain, dispatch.routing)
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
        family = surroundings.family
        self.nfproto = family.number
        ipv4 = family is Family.IPV4
        self.size = 4 if ipv4 else 16
        self.words = self.size // 4
        self.source_offset, self.destination_offset = (12, 16) if ipv4 else (8, 24)

    def source(self, word: int) -> bytes:
        return expr.network_payload(self.source_offset, self.size, word)

    def destination(self, word: int) -> bytes:
        return expr.network_payload(self.destination_offset, self.size, word)

    # ---- always there

    def base_chains(self) -> tuple[Chain, ...]:
        return (
            *(Chain(handling_chain(each), self.handling(each)) for each in HANDLINGS),
            Chain(MASQUERADE, self.masquerade()),
            Chain(PRESERVE, self.preserve()),
            Chain(POLICY, self.policy()),
            Chain(SERVICE, self.decide(self._find_service())),
            Chain(NODE_PORT, self.decide(self._find_node_port())),
            Chain(NODE_PORTS, (_rule(*self._find_node_port(), expr.goto(NODE_PORT)),)),
            Chain(SERVICES, self.services()),
            Chain("nat-prerouting", (_rule(expr.jump(SERVICES)),), Hook("nat", "prerouting", -100)),
            Chain("nat-output", (_rule(expr.jump(SERVICES)),), Hook("nat", "output", -100)),
            Chain("nat-postrouting", self.postrouting(), Hook("nat", "postrouting", 100)),
            Chain("filter-forward", self.forward(), Hook("filter", "forward", 0)),
        )

    def services(self) -> tuple[Rule, ...]:
        return (
            _rule(*self._find_service(), expr.goto(SERVICE)),
            _rule(
                self.destination(0),
                expr.lookup(layout.NODE_PORT_ADDRESSES, 0),
                expr.address_type(expr.FIB_DESTINATION, 0),
                expr.compare(0, expr.EQUAL, _RTN_LOCAL),
                expr.jump(NODE_PORTS),
            ),
            _rule(
                self.destination(0),
                expr.lookup(layout.CLUSTER_IPS, 0),
                expr.reject(self.nfproto),
                comment="a port that the Service has not",
            ),
            _rule(
                self.destination(0),
                expr.lookup(layout.SERVICE_RANGES, 0),
                expr.drop(),
                comment="an address that no Service has",
            ),
        )

    def _find_service(self) -> tuple[bytes, ...]:
        return (
            self.destination(0),
            expr.meta(expr.META_L4PROTO, self.words),
            expr.destination_port(self.words + 1),
            expr.lookup(layout.SERVICES, 0, into=0),
            _set_priority(0),
        )

    def _find_node_port(self) -> tuple[bytes, ...]:
        return (
            expr.meta(expr.META_L4PROTO, 0),
            expr.destination_port(1),
            expr.lookup(layout.NODE_PORTS, 0, into=0),
            _set_priority(0),
        )

    def decide(self, find: tuple[bytes, ...]) -> tuple[Rule, ...]:
        """Decide about a packet, and once more from the start if that came to nothing.

        A transaction comes into force between two look-ups of one packet, too: the first may say two
        endpoints, and the second not find the second one any more.
        """
        again = "the maps changed between two look-ups"
        return (
            _rule(expr.jump(POLICY)),
            _rule(*find, expr.jump(POLICY), comment=again),
            _rule(expr.drop()),
        )

    def policy(self) -> tuple[Rule, ...]:
        return (_rule(*_code(), expr.verdict_lookup(layout.POLICIES, 0)),)

    def masquerade(self) -> tuple[Rule, ...]:
        # The mark has done its work; a packet that is encapsulated and comes by again must not carry it.
        both = self.surroundings.marks.masquerade | self.surroundings.marks.preserve
        return (_rule(*_change_mark(both, set_bit=False)), _rule(expr.masquerade()))

    def preserve(self) -> tuple[Rule, ...]:
        return (
            _rule(*_change_mark(self.surroundings.marks.preserve, set_bit=False)),
            _rule(
                self.destination(0),
                expr.lookup(layout.RETURNING, 0, absent=True),
                expr.masquerade(),
                comment="its replies would not come back",
            ),
        )

    def postrouting(self) -> tuple[Rule, ...]:
        return (
            _rule(
                *_ct_status_dnat(),
                *_clear_priority(),
                comment="the Service port's id has done its work",
            ),
            _rule(*_marked(self.surroundings.marks.masquerade), expr.goto(MASQUERADE)),
            _rule(*_marked(self.surroundings.marks.preserve), expr.goto(PRESERVE)),
            _rule(
                *_ct_status_dnat(),
                self.source(0),
                self.destination(self.words),
                expr.lookup(layout.HAIRPINS, 0),
                expr.masquerade(),
                comment="a pod that reaches itself must see another source than its own",
            ),
        )

    def forward(self) -> tuple[Rule, ...]:
        if not self.surroundings.drop_invalid:
            return ()
        return (
            _rule(
                expr.conntrack(expr.CT_STATE, 0),
                expr.bitwise(0, _CT_INVALID, word(0)),
                expr.compare(0, expr.NOT_EQUAL, word(0)),
                expr.drop(),
                comment="not translated: its receiver would reset the connection",
            ),
        )

    def handling(self, handling: Handling) -> tuple[Rule, ...]:
        if handling.action is Action.REJECT:
            return (_rule(expr.reject(self.nfproto)),)
        if handling.action is Action.DROP:
            return (_rule(expr.drop()),)
        rules = []
        if handling.preserve:
            rules += [
                _rule(
                    self.source(0),
                    expr.lookup(layout.INSIDE, 0),
                    expr.goto(handling_chain(handling._replace(preserve=False))),
                ),
                _rule(*_change_mark(self.surroundings.marks.preserve, set_bit=True)),
            ]
        elif handling.masquerade:
            rules.append(_rule(*_change_mark(self.surroundings.marks.masquerade, set_bit=True)))
        scope = layout.LOCAL if handling.scope is Scope.LOCAL else 0
        rules += [
            _rule(*_change_priority(mask=layout.NUMBER_MASK, add=scope)),
            _look_up_next(layout.ENDPOINT_COUNTS),
            _rule(*_code(), expr.verdict_lookup(layout.PICKS, 0)),
        ]
        return tuple(rules)

    # ---- by routing

    def routing(self, name: str, routing: Routing) -> Iterator[Chain]:
        if name.startswith(RESTRICTED):
            inner = name.removeprefix(RESTRICTED)
            yield from self.routing(inner, routing)
            yield Chain(name, (self._unless_in_source_ranges(), _rule(expr.goto(inner))))
        elif not (routing.pods == routing.node == routing.others):
            yield Chain(name, tuple(self._by_origin(routing)))

    def _unless_in_source_ranges(self) -> Rule:
        return _rule(
            expr.meta(expr.META_PRIORITY, 0),
            expr.bitwise(0, word(layout.NUMBER_MASK), word(0)),
            expr.to_network_order(0),
            self.source(1),
            expr.lookup(layout.SOURCE_RANGES, 0, absent=True),
            expr.drop(),
        )

    def _by_origin(self, routing: Routing) -> Iterator[Rule]:
        detector = self.surroundings.detector
        if detector is not None and not (routing.pods == routing.node == routing.others):
            yield _rule(
                *self._from_pods(detector),
                expr.goto(handling_chain(routing.pods)),
                comment="this node's pods",
            )
        if routing.node != routing.others:
            yield _rule(
                expr.address_type(expr.FIB_SOURCE, 0),
                expr.compare(0, expr.EQUAL, _RTN_LOCAL),
                expr.goto(handling_chain(routing.node)),
                comment="this node",
            )
        yield _rule(expr.goto(handling_chain(routing.others)))

    def _from_pods(self, detector: Detector) -> tuple[bytes, ...]:
        if isinstance(detector, FromNetwork):
            network = detector.network
            mask, base = network.netmask.packed, network.network_address.packed
            masked = (
                ()
                if network.prefixlen == network.max_prefixlen
                else (expr.bitwise(0, mask, bytes(self.size)),)
            )
            return (self.source(0), *masked, expr.compare(0, expr.EQUAL, base))
        if isinstance(detector, FromBridge):
            name = detector.interface.encode().ljust(_IFNAMSIZ, b"\0")
        else:
            name = detector.prefix.encode()
        return (expr.meta(expr.META_IIFNAME, 0), expr.compare(0, expr.EQUAL, name))

    # ---- by number of endpoints and by affinity timeout

    def pick(self, dispatch: Dispatch) -> Chain:
        return Chain(
            dispatch.chain,
            (
                _rule(*_change_priority(mask=layout.NUMBER_AND_SCOPE_MASK)),
                _rule(
                    expr.meta(expr.META_L4PROTO, 0),
                    expr.meta(expr.META_PRIORITY, 1),
                    expr.numgen_random(dispatch.number, 2),
                    expr.lookup(layout.ENDPOINTS, 0, into=0),
                    expr.destination_nat(self.nfproto, 0, self.words),
                ),
            ),
        )

    def pick_slot(self, dispatch: Dispatch) -> Chain:
        return Chain(
            dispatch.chain,
            (
                _rule(*_change_priority(mask=layout.NUMBER_AND_SCOPE_MASK)),
                _rule(
                    expr.meta(expr.META_PRIORITY, 0),
                    expr.numgen_random(dispatch.number, 1),
                    expr.lookup(layout.SLOTS, 0, into=0),
                    _set_priority(0),
                ),
            ),
        )

    def affinity(self, dispatch: Dispatch) -> Chain:
        """To the endpoint that the client is known to use, if that is still one, or to another."""
        remember = _remember_chain(dispatch.number)
        scope_bit = layout.LOCAL if dispatch.scope is Scope.LOCAL else 0
        rules = (
            # A client is remembered once, whichever of the Service's addresses it dials.
            _rule(*_change_priority(mask=layout.NUMBER_MASK)),
            _rule(
                expr.meta(expr.META_PRIORITY, 0),
                self.source(1),
                expr.lookup(layout.AFFINITY, 0, into=0),
                _set_priority(0),
            ),
            _rule(*_change_priority(mask=~layout.LOCAL, add=scope_bit)),
            _rule(
                *_code(),
                expr.compare(0, expr.NOT_EQUAL, word(0)),
                expr.jump(remember),
            ),
            _rule(*_change_priority(mask=layout.NUMBER_AND_SCOPE_MASK)),
            _rule(
                *self._client(),
                expr.dynset(expr.DYNSET_DELETE, layout.AFFINITY, 0, self.words + 1),
                comment="an update would not replace what is remembered",
            ),
            _look_up_next(layout.SLOT_COUNTS),
            _rule(*_code(), expr.verdict_lookup(layout.SLOT_PICKS, 0)),
            _rule(expr.goto(remember)),
        )
        return Chain(dispatch.chain, rules)

    def remember(self, seconds: int) -> Chain:
        return Chain(
            _remember_chain(seconds),
            (
                _rule(
                    *self._client(),
                    expr.dynset(expr.DYNSET_UPDATE, layout.AFFINITY, 0, self.words + 1, seconds),
                ),
                _rule(
                    expr.meta(expr.META_L4PROTO, 0),
                    expr.meta(expr.META_PRIORITY, 1),
                    expr.lookup(layout.SLOT_ENDPOINTS, 0, into=0),
                    expr.destination_nat(self.nfproto, 0, self.words),
                ),
            ),
        )

    def _client(self) -> tuple[bytes, ...]:
        """Key and value of what is remembered: (number, source), and number, scope and slot."""
        return (
            expr.meta(expr.META_PRIORITY, 0),
            expr.bitwise(0, word(layout.NUMBER_MASK), word(0)),
            self.source(1),
            expr.meta(expr.META_PRIORITY, self.words + 1),
        )


def _rule(*expressions: bytes, comment: str = "") -> Rule:
    return Rule(b"".join(expressions), comment)


def _set_priority(at: int) -> bytes:
    return expr.meta_set(expr.META_PRIORITY, at)


def _change_mark(bits: int, *, set_bit: bool) -> tuple[bytes, ...]:
    return (
        expr.meta(expr.META_MARK, 0),
        expr.bitwise(0, word(~bits & 0xFFFFFFFF), word(bits if set_bit else 0)),
        expr.meta_set(expr.META_MARK, 0),
    )


def _marked(bit: int) -> tuple[bytes, ...]:
    return (
        expr.meta(expr.META_MARK, 0),
        expr.bitwise(0, word(bit), word(0)),
        expr.compare(0, expr.NOT_EQUAL, word(0)),
    )


def _change_priority(*, mask: int, add: int = 0) -> tuple[bytes, ...]:
    return (
        expr.meta(expr.META_PRIORITY, 0),
        expr.bitwise(0, word(mask & 0xFFFFFFFF), word(add)),
        _set_priority(0),
    )


def _code() -> tuple[bytes, ...]:
    return (expr.meta(expr.META_PRIORITY, 0), expr.bitwise(0, word(layout.CODE_MASK), word(0)))


def _look_up_next(name: str) -> Rule:
    """Replace the id by what a map has for it: the same with another code."""
    return _rule(expr.meta(expr.META_PRIORITY, 0), expr.lookup(name, 0, into=0), _set_priority(0))


def _clear_priority() -> tuple[bytes, ...]:
    return (expr.immediate(0, word(0)), _set_priority(0))


def _ct_status_dnat() -> tuple[bytes, ...]:
    return (
        expr.conntrack(expr.CT_STATUS, 0),
        expr.bitwise(0, _CT_DNAT, word(0)),
        expr.compare(0, expr.NOT_EQUAL, word(0)),
    )

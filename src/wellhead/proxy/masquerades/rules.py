"""Chains of rules that may replace a source, and which of them does so for some connections. Pure.

What rules say of addresses is followed exactly: each takes a part of the connections, and leaves the rest to
the next. What else they ask is known, or taken for possible.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import groupby
from typing import NamedTuple

from wellhead.ip import Family
from wellhead.proxy.masquerades.addresses import Addresses

NODE = "this node's address"
"""What a server sees of who is masqueraded."""
_MOST_PIECES = 64
"""Rules that cut connections into more than these are followed no further: all may be so."""


@dataclass(frozen=True, slots=True)
class Flows:
    """Connections by whom they are from and where to, when they leave the node."""

    source: Addresses
    destination: Addresses
    out: frozenset[str] | None = None
    """The interfaces by which they do; None: not known."""
    translated: bool = True
    """Whether this node has chosen the endpoint."""


class Cut(NamedTuple):
    """What a condition makes of connections."""

    taken: Flows | None
    """Those for which it holds."""
    rest: tuple[Flows, ...] = ()
    sure: bool = True
    """Otherwise it may hold for those that are taken, and may not."""


class Where(NamedTuple):
    """A condition on one of the addresses."""

    of_source: bool
    addresses: Addresses
    negated: bool = False

    def cut(self, flows: Flows) -> Cut:
        asked = flows.source if self.of_source else flows.destination
        inside, outside = asked & self.addresses, asked - self.addresses
        taken, left = (outside, inside) if self.negated else (inside, outside)
        return Cut(self._of(flows, taken), tuple(each for each in (self._of(flows, left),) if each))

    def _of(self, flows: Flows, part: Addresses) -> Flows | None:
        if not part:
            return None
        return replace(flows, source=part) if self.of_source else replace(flows, destination=part)


class LeavesBy(NamedTuple):
    """A condition on the interface that packets leave by; names may end in a star."""

    names: tuple[str, ...]
    negated: bool = False

    def cut(self, flows: Flows) -> Cut:
        if flows.out is None:
            return Cut(flows, (flows,), sure=False)
        hits = frozenset(
            each for each in flows.out if any(fnmatchcase(each, name) for name in self.names) != self.negated
        )
        taken = replace(flows, out=hits) if hits else None
        left = flows.out - hits
        return Cut(taken, (replace(flows, out=left),) if left else ())


class Translated(NamedTuple):
    """Whether the destination has been replaced (DNAT)."""

    negated: bool = False

    def cut(self, flows: Flows) -> Cut:
        return Cut(flows) if flows.translated != self.negated else Cut(None, (flows,))


class Answer(enum.Enum):
    """A condition that depends on nothing that is looked at."""

    ALWAYS = enum.auto()
    NEVER = enum.auto()
    UNKNOWN = enum.auto()

    def cut(self, flows: Flows) -> Cut:
        if self is Answer.UNKNOWN:
            return Cut(flows, (flows,), sure=False)
        return Cut(flows) if self is Answer.ALWAYS else Cut(None, (flows,))


Condition = Where | LeavesBy | Translated | Answer
ALWAYS, NEVER, UNKNOWN = Answer.ALWAYS, Answer.NEVER, Answer.UNKNOWN


def whether(holds: bool) -> Condition:
    """A condition whose answer is known."""
    return ALWAYS if holds else NEVER


class Then(enum.Enum):
    """What a rule does."""

    NOTHING = enum.auto()
    TRANSLATE = enum.auto()
    KEEP = enum.auto()
    """The source becomes what it is: nobody else decides about it."""
    END = enum.auto()
    """Nothing more happens to the packet in this hook's chain."""
    RETURN = enum.auto()
    JUMP = enum.auto()
    GOTO = enum.auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a chain."""

    text: str
    """As its program writes it."""
    conditions: tuple[Condition, ...] = ()
    then: Then = Then.NOTHING
    chain: str = ""
    """Where it leads to."""
    seen: str = NODE
    """What a server sees instead, if it translates."""

    def cut(self, flows: Flows) -> Cut:
        """Conditions hold together."""
        taken, sure = flows, True
        rest: list[Flows] = []
        for each in self.conditions:
            found = each.cut(taken)
            if found.taken is None:
                return Cut(None, (flows,))
            taken, sure = found.taken, sure and found.sure
            rest += found.rest
        return Cut(taken, tuple(rest) if sure else (flows,), sure)


class Piece(NamedTuple):
    """Connections that have come to a rule."""

    flows: Flows
    sure: bool = True
    """Otherwise some earlier rule may have kept them from it."""


class Hit(NamedTuple):
    """A rule that replaces the source of some connections."""

    rule: Rule
    flows: Flows
    sure: bool


@dataclass(slots=True)
class _Walk:
    """A way of connections through chains."""

    chains: Mapping[str, tuple[Rule, ...]]
    hits: list[Hit] = field(default_factory=list)
    ended: list[Piece] = field(default_factory=list)
    """Those that a rule has let go as they are."""

    def through(self, name: str, given: list[Piece], above: frozenset[str]) -> list[Piece]:
        """Those that come out at the end of a chain, or return from it."""
        if name in above:
            return given
        fallen: list[Piece] = []
        now = given
        for rule in self.chains.get(name, ()):
            if rule.then is Then.NOTHING:
                continue
            left: dict[Piece, None] = {}
            for piece in now:
                found = rule.cut(piece.flows)
                sure = piece.sure and found.sure
                left |= dict.fromkeys(Piece(each, sure) for each in found.rest)
                if found.taken is not None:
                    taken = Piece(found.taken, sure)
                    left |= dict.fromkeys(self._take(rule, taken, fallen, above | {name}))
            now = list(left)
            if len(now) > _MOST_PIECES:
                now = [Piece(each.flows, sure=False) for each in given]
        return list(dict.fromkeys(fallen + now))

    def _take(self, rule: Rule, piece: Piece, fallen: list[Piece], above: frozenset[str]) -> Iterable[Piece]:
        """What comes back to the rule after."""
        match rule.then:
            case Then.TRANSLATE:
                self.hits.append(Hit(rule, *piece))
            case Then.END:
                self.ended.append(piece)
            case Then.RETURN:
                fallen.append(piece)
            case Then.GOTO:
                fallen += self.through(rule.chain, [piece], above)
            case Then.JUMP:
                return self.through(rule.chain, [piece], above)
        return ()


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that the kernel calls when packets leave, and all that it leads to."""

    family: Family
    owner: str
    """Which program and table, for people."""
    priority: int
    name: str
    chains: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)

    def takes(self, *flows: Flows) -> tuple[Rule, ...]:
        """The rules that replace the source of these connections, or of some of them, in order."""
        return tuple(dict.fromkeys(each.rule for each in self.walk([Piece(one) for one in flows])[0]))

    def walk(self, pieces: list[Piece]) -> tuple[list[Hit], list[Piece]]:
        """What it replaces, and those about whose source it doesn't decide."""
        walk = _Walk(self.chains)
        left = walk.through(self.name, pieces, frozenset())
        return walk.hits, list(dict.fromkeys(walk.ended + left))


class Kind(NamedTuple):
    """Connections that the proxy leaves alone."""

    who: str
    """Whose address they show, in words."""
    how: str
    flows: Flows
    claimed: bool
    """Whether it claims their source."""


class Found(NamedTuple):
    """A rule that replaces, or would replace, what the proxy leaves alone."""

    family: Family
    owner: str
    rule: str
    hides: str
    """Whose address, in words."""
    seen: str
    """What a server sees instead."""
    kept: bool
    """Whether the proxy's claims come before it."""
    sure: bool
    """Otherwise it depends on what is not looked at."""


def judge(chains: list[BaseChain], kinds: Iterable[Kind], claimed_at: int) -> tuple[Found, ...]:
    """Which rules take which connections.

    The first chain that decides about a source has decided. `claimed_at` is the priority of the claims: of
    chains at one priority the one that came last is the first.
    """
    found: dict[tuple[object, ...], Found] = {}
    ordered = sorted(chains, key=lambda each: each.priority)
    for kind in kinds:
        family = kind.flows.source.family
        pieces = [Piece(kind.flows)]
        of_family = (each for each in ordered if each.family is family)
        for priority, group in groupby(of_family, key=lambda each: each.priority):
            left = pieces
            kept = kind.claimed and priority > claimed_at
            told = not (kind.claimed and priority == claimed_at)
            for chain in group:
                for rule, (whose, sure) in _by_rule(chain.walk(pieces)[0]).items():
                    words = _words(kind, whose)
                    each = Found(family, chain.owner, rule.text, words, rule.seen, kept, sure and told)
                    known = found.get(each[:-1])
                    found[each[:-1]] = each if known is None or each.sure else known
                left = chain.walk(left)[1]
            pieces = left
    return tuple(found.values())


def _by_rule(hits: list[Hit]) -> dict[Rule, tuple[Addresses, bool]]:
    """Whose source each rule replaces, and whether it surely does so for some."""
    found: dict[Rule, tuple[Addresses, bool]] = {}
    for rule, flows, sure in hits:
        if flows.source == flows.destination and flows.source.is_one:
            continue  # a pod that reaches itself, which isn't left alone
        whose, known = found.get(rule, (Addresses(flows.source.family), False))
        found[rule] = whose | flows.source, known or sure
    return found


def _words(kind: Kind, whose: Addresses) -> str:
    if whose == kind.flows.source:
        return f"{kind.who} {kind.how}"
    named = whose.named()
    return f"{kind.who} in {named} {kind.how}" if named else f"some {kind.who} {kind.how}"

"""Chains of rules that may replace a source, and which of them does so for some connections. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wellhead.ip import Family, IPNetwork


class Whether(enum.IntEnum):
    """Whether a condition holds."""

    NO = 0
    FOR_SOME = 1
    """Of the connections, or it can't be told."""
    YES = 2


class Flows(NamedTuple):
    """Connections of one kind, by whom they are from and where to, when they leave the node."""

    source: tuple[IPNetwork, ...]
    """Empty: anybody outside the cluster."""
    destination: tuple[IPNetwork, ...]


class Where(NamedTuple):
    """A condition on one of the addresses."""

    of_source: bool
    networks: tuple[IPNetwork, ...]
    negated: bool = False

    def holds(self, flows: Flows) -> Whether:
        asked = flows.source if self.of_source else flows.destination
        found = _within(asked, self.networks)
        return Whether(2 - found) if self.negated else found


def _within(asked: tuple[IPNetwork, ...], networks: tuple[IPNetwork, ...]) -> Whether:
    everything = any(not each.prefixlen for each in networks)
    if everything:
        return Whether.YES
    if not asked:
        return Whether.FOR_SOME
    inside = [any(_is_in(each, one) for one in networks) for each in asked]
    if all(inside):
        return Whether.YES
    touches = any(each.overlaps(one) for each in asked for one in networks if each.version == one.version)
    return Whether.FOR_SOME if touches else Whether.NO


def _is_in(network: IPNetwork, other: IPNetwork) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]


class Always(NamedTuple):
    """A condition whose answer doesn't depend on the addresses."""

    answer: Whether

    def holds(self, flows: Flows) -> Whether:
        return self.answer


Condition = Where | Always
UNKNOWN = Always(Whether.FOR_SOME)
NEVER = Always(Whether.NO)


class Then(enum.Enum):
    """What a rule does."""

    NOTHING = enum.auto()
    TRANSLATE = enum.auto()
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

    def holds(self, flows: Flows) -> Whether:
        return min((each.holds(flows) for each in self.conditions), default=Whether.YES)


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that the kernel calls when packets leave, and all that it leads to."""

    family: Family
    owner: str
    """Which program and table, for people."""
    priority: int
    name: str
    chains: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)

    def takes(self, flows: Flows) -> tuple[Rule, ...]:
        """The rules that replace the source of these connections, or of some of them, in order."""
        return tuple(self._translating(self.name, flows, frozenset()))

    def _translating(self, name: str, flows: Flows, above: frozenset[str]) -> Iterator[Rule]:
        """Those that may, in order. What comes after one that certainly ends it is not looked at."""
        if name in above:
            return
        for rule in self.chains.get(name, ()):
            held = rule.holds(flows)
            if held is Whether.NO or rule.then is Then.NOTHING:
                continue
            if rule.then is Then.TRANSLATE:
                yield rule
            elif rule.then in (Then.JUMP, Then.GOTO):
                yield from self._translating(rule.chain, flows, above | {name})
            if held is Whether.YES and rule.then is not Then.JUMP:
                return


class Found(NamedTuple):
    """A rule that replaces, or would replace, what the proxy leaves alone."""

    family: Family
    owner: str
    rule: str
    hides: str
    """Whose address, in words."""
    kept: bool
    """Whether the proxy's claims come before it."""


def judge(
    chains: list[BaseChain], flows: Mapping[tuple[Family, str], tuple[Flows, bool]], claimed_at: int
) -> tuple[Found, ...]:
    """Which rules take which of the `flows`, given by family and in words, with whether they are claimed.

    `claimed_at` is the priority of the claims: chains before it decide first, and of two at one the later.
    """
    found: dict[Found, None] = {}
    for chain in sorted(chains, key=lambda each: each.priority):
        for (family, words), (each, claimed) in flows.items():
            kept = claimed and chain.priority > claimed_at
            for rule in chain.takes(each) if chain.family is family else ():
                found[Found(family, chain.owner, rule.text, words, kept)] = None
    return tuple(found)

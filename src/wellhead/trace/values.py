"""What a trace shows, as values that are published. Pure."""

from __future__ import annotations

import msgspec

from wellhead.paths.way import Value, Way

VERSION = "wellhead.dev/trace/v1"
"""The version of the published form. Fields may be added to it; none changes its meaning."""


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

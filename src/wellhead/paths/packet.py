"""A packet on its way: who sent it, with which source, where it is, and what was done to it so far."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from wellhead.ip import Family, IPAddress, Protocol, bracketed
from wellhead.paths.codes import Code
from wellhead.paths.way import Decision, Disposition, Forwarded, Note, Outcome, SeenAs, Step, What

OUTSIDE = "outside"


@dataclass(frozen=True)
class Source:
    """A source address, and whose it is."""

    address: IPAddress | None
    seen_as: SeenAs
    owner: str
    """The node, the pod (namespace/name), the balancer."""
    note: str
    """In words: `an address of birch`."""
    kind: str
    """outside, pod or node: what a service proxy takes it for."""
    node: str = ""
    """The node that packets with it are sent from; empty outside."""

    def __str__(self) -> str:
        return str(self.address) if self.address is not None else self.note


@dataclass(frozen=True)
class NodeAddress:
    """Which of a node's addresses is taken towards somebody."""

    address: IPAddress | None
    because: str = ""
    notes: tuple[Note, ...] = ()

    def source(self, node: str) -> Source:
        note = f"an address of {node}"
        if self.because:
            note += f" ({self.because})"
        return Source(self.address, SeenAs.NODE, node, note, "node", node)


@dataclass(frozen=True)
class Packet:
    """The first packet of a new connection. `share` is that of the way's connections."""

    source: Source
    destination: IPAddress | None
    port: int
    protocol: Protocol
    family: Family
    node: str = ""
    """Where it is: a node, or empty outside."""
    share: float = 1.0
    enters: str = ""
    """The node by which it came in from outside."""
    born_here: bool = False
    """Whether the node that it is on sent it itself, so that it passes OUTPUT."""
    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()
    forwarded: tuple[Forwarded, ...] = ()
    rewritten_at: str = ""
    """The node that replaced the destination; the reply has to come back through it."""
    returns_by_itself: bool = False
    """Whether the reply finds back without that node's conntrack, or is led there."""

    @property
    def target(self) -> str:
        return show(self.destination, self.port)

    def step(
        self,
        who: str,
        what: What,
        code: Code,
        because: str,
        *,
        from_: object = None,
        to: object = None,
        decided_by: Decision | None = None,
    ) -> Packet:
        """The packet, with one more step on record."""
        new = Step(
            who=f"{who} on {self.node}" if self.node and who != self.node else who,
            what=what,
            from_=None if from_ is None else str(from_),
            to=None if to is None else str(to),
            code=code,
            because=because,
            decided_by=decided_by,
            node=self.node,
        )
        return dataclasses.replace(self, steps=(*self.steps, new))

    def noting(self, *notes: Note) -> Packet:
        """The packet with further assumptions or open questions, each once."""
        fresh = tuple(each for each in dict.fromkeys(notes) if each not in self.notes)
        return dataclasses.replace(self, notes=(*self.notes, *fresh)) if fresh else self

    def having(self, **changes: object) -> Packet:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def rewrite_source(
        self, who: str, source: Source, code: Code, because: str, decided_by: Decision | None = None
    ) -> Packet:
        """The packet with its source replaced, here."""
        before = self.source
        stepped = self.step(who, What.SNAT, code, because, from_=before, to=source, decided_by=decided_by)
        return dataclasses.replace(stepped, source=source)

    def end(self, disposition: Disposition) -> Ending:
        """Nobody receives it."""
        return Ending(self, disposition)


@dataclass(frozen=True)
class Ending:
    """What became of a packet."""

    packet: Packet
    disposition: Disposition
    endpoint_node: str = ""
    endpoint_pod: str = ""
    extra: tuple[Note, ...] = field(default=())

    def outcome(self) -> Outcome:
        packet, source = self.packet, self.packet.source
        delivered = self.disposition is Disposition.DELIVERED
        seen = source.seen_as if delivered else SeenAs.UNKNOWN
        return Outcome(
            share=packet.share,
            disposition=self.disposition,
            source=str(source.address) if delivered and source.address is not None else None,
            seen_as=seen,
            source_note=source.note if delivered else "",
            source_owner=source.owner if delivered else "",
            enters=packet.enters,
            endpoint=packet.target if delivered else None,
            endpoint_pod=self.endpoint_pod,
            endpoint_node=self.endpoint_node,
            forwarded=packet.forwarded if delivered else (),
            steps=packet.steps,
            notes=(*packet.notes, *self.extra),
        )


def show(address: IPAddress | None, port: int) -> str:
    """address:port, with brackets in IPv6."""
    if address is None:
        return f"?:{port}"
    return f"{bracketed(address)}:{port}"

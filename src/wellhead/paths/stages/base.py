"""What every stage has: a world, the parties in it, and the way onwards."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.ip import IPAddress
from wellhead.paths.packet import Ending, Packet
from wellhead.paths.parties.found import Parties
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Disposition, Note
from wellhead.paths.world import World


class Stage:
    """One world, and those who handle packets in it."""

    def __init__(self, world: World, parties: Parties, only_node: str = "") -> None:
        self.world, self.parties, self.only_node = world, parties, only_node
        self._facts: dict[int, ServiceFacts] = {}

    def facts(self, obj: dict[str, object]) -> ServiceFacts:
        """A Service, read once."""
        if id(obj) not in self._facts:
            self._facts[id(obj)] = ServiceFacts(self.world, obj)
        return self._facts[id(obj)]

    def _unknown(self, packet: Packet, *notes: Note) -> Ending:
        return packet.noting(*notes).end(Disposition.UNKNOWN)

    def _own(self, node: str) -> tuple[IPAddress, ...]:
        facts = self.world.nodes.get(node)
        return facts.addresses if facts else ()

    def _external(self, packet: Packet) -> IPAddress | None:
        node = self.world.nodes.get(packet.source.node)
        return node.external_of(packet.family) if node else None

    def from_inside(self, packet: Packet, facts: ServiceFacts | None = None) -> Iterator[Ending]:
        """What becomes of a packet that its own node sends; said by the topmost stage."""
        raise NotImplementedError

"""The requests that were sent, the newest first, no more than there is room for. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from wellhead.page.values import Line, Sent

MOST_REQUESTS = 100
MOST_BYTES = 32 << 20


@dataclass(frozen=True)
class Kept:
    """A request as it can be taken away."""

    line: Line
    json: bytes
    text: bytes
    pcapng: bytes
    sent: Sent | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        return len(self.json) + len(self.text) + len(self.pcapng)


class History:
    """At most so many requests and bytes: the oldest go first. The newest is always kept."""

    def __init__(self, requests: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = requests, most_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0

    def add(self, kept: Kept) -> None:
        self._kept[kept.line.id] = kept
        self._size += kept.size
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._size > self._most_bytes):
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    def get(self, name: str) -> Kept | None:
        return self._kept.get(name)

    def lines(self) -> list[Line]:
        """The newest first."""
        return [each.line for each in reversed(self._kept.values())]

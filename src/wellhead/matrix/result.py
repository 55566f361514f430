"""What came of the matrix, as values. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wellhead.paths.way import Disposition, SeenAs, Value, Way

VERSION = "wellhead.dev/matrix/v1"
"""The version of the published form. Fields may be added to it; none changes its meaning."""


class Verdict(StrEnum):
    """What became of a cell."""

    AGREED = "agreed"
    DIFFERS = "differs"
    UNTRIED = "untried"
    """With the reason why."""
    UNKNOWN = "unknown"
    """Nothing was predicted, so that nothing could be wrong."""


class Row(Value, frozen=True, kw_only=True):
    """A cell of the matrix."""

    family: str
    dialled: str
    policy: str
    client: str
    verdict: Verdict
    seen: str = ""
    """What the server saw, in a few words: `client`, `node-1`, `dropped`."""
    said: str = ""
    """Where the verdict isn't `agreed`: what was expected and what came, or why it wasn't tried."""
    milliseconds: float = 0.0
    predicted: Way | None = None
    observed: Way | None = None


class Matrix(Value, frozen=True, kw_only=True):
    """All cells."""

    api_version: str = msgspec.field(default=VERSION, name="apiVersion")
    kind: str = "Matrix"
    cluster: str
    proxy: str
    """What stands in for the service proxy: a mode of ours, or somebody else's."""
    rows: tuple[Row, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict is verdict for row in self.rows)


def in_words(way: Way) -> str:
    """What the server saw: `client`, the node's name, `dropped`."""
    outcome = way.outcomes[0]
    if outcome.disposition is not Disposition.DELIVERED:
        return str(outcome.disposition)
    if outcome.seen_as is SeenAs.CLIENT:
        return "client"
    return outcome.source_owner or str(outcome.source)

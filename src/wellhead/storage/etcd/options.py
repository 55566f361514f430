"""How an etcd is spoken to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PREFIX = "/wellhead"
COMPACTION_SECONDS = 300.0


@dataclass(frozen=True)
class EtcdOptions:
    """Files are in PEM: who vouches for etcd's servers, and what shows them who we are."""

    prefix: str = PREFIX
    """Under which all keys are."""
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    compaction_seconds: float = COMPACTION_SECONDS
    """How often the history is cut to what it was that long ago. 0: never, somebody else does."""
    call_seconds: float = 10.0
    """For any endpoint to answer."""

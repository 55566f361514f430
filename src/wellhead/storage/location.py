"""Which store `--storage` means."""

from __future__ import annotations

from pathlib import Path

from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Store


def store_at(location: str) -> Store:
    """The store that `sqlite:PATH` or `memory:` names, not yet open.

    Raises:
        ValueError: it names none.
    """
    scheme, _, rest = location.partition(":")
    if scheme == "sqlite" and rest:
        return SqliteStore(Path(rest))
    if scheme == "memory" and not rest:
        return MemoryStore()
    raise ValueError(f"{location!r} is no storage: use sqlite:PATH or memory:")

"""Which store `--storage` means."""

from __future__ import annotations

import re
from pathlib import Path

from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Store


def store_at(location: str, etcd: EtcdOptions | None = None) -> Store:
    """The store that `sqlite:PATH`, `memory:` or `etcd=URL,…` names, not yet open.

    Raises:
        ValueError: it names none.
    """
    named = re.fullmatch(r"(\w+)[:=](.*)", location, re.DOTALL)
    match named.groups() if named is not None else ("", ""):
        case "sqlite", path if path:
            return SqliteStore(Path(path))
        case "memory", "":
            return MemoryStore()
        case "etcd", endpoints if endpoints:
            # gRPC takes 30 MB: only who needs it pays for it.
            from wellhead.storage.etcd.store import EtcdStore

            return EtcdStore(endpoints.split(","), etcd or EtcdOptions())
    raise ValueError(f"{location!r} is no storage: use sqlite:PATH, memory: or etcd=URL,URL,…")

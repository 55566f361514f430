"""Which keys and values etcd sees.

An object is `PREFIX/RESOURCE/NAMESPACE/NAME` (the namespace is empty where there is none). All writes of one
etcd transaction share one etcd revision; the store's revisions are unique, so they are etcd's times 64 plus
the place within the transaction, which a value carries along.

`PREFIX/latest` is written by every transaction, so its etcd revision is that of the last write to this store,
whoever made it. In a full etcd, which takes nothing but deletions, it is deleted instead: then nobody knows.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from wellhead.storage.store import StoreFailed, StoreKey

PLACES = 64
"""Writes that one transaction may have."""

_HEADER = struct.Struct(">BB8s")
_VERSION = 1
NONCE_BYTES = 8


class Value(NamedTuple):
    """A value: its place in its transaction, whose transaction that was, and the object's bytes."""

    place: int
    nonce: bytes
    data: bytes


class Layout:
    """The keys of one store: several may share an etcd, under prefixes of their own."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.rstrip("/")
        self.first = f"{self.prefix}/".encode()
        """Where the keys begin."""
        self.end = f"{self.prefix}0".encode()
        """The first key after them: `0` is the character after `/`."""
        self.latest = f"{self.prefix}/latest".encode()
        self.compaction = f"{self.prefix}-compaction".encode()
        """Not one of them: nobody watches it."""

    def key(self, key: StoreKey) -> bytes:
        """What etcd calls it."""
        return f"{self.prefix}/{key.resource}/{key.namespace}/{key.name}".encode()

    def store_key(self, key: bytes) -> StoreKey:
        """What the store calls it. Raises StoreFailed for a key that isn't the store's."""
        parts = key.removeprefix(self.first).decode(errors="replace").rsplit("/", 2)
        if len(parts) != 3:
            raise StoreFailed(f"etcd has a key that isn't wellhead's: {key!r}; use another --etcd-prefix")
        return StoreKey(*parts)


def packed(value: Value) -> bytes:
    """What etcd keeps."""
    return _HEADER.pack(_VERSION, value.place, value.nonce) + value.data


def unpacked(data: bytes) -> Value:
    """What `packed` made it of. Raises StoreFailed."""
    if len(data) < _HEADER.size or data[0] != _VERSION:
        raise StoreFailed("etcd has a value that isn't wellhead's, or of a newer version")
    _, place, nonce = _HEADER.unpack_from(data)
    return Value(place, nonce, data[_HEADER.size :])


def revision_of(etcd_revision: int, place: int) -> int:
    """The store's revision of a write."""
    return etcd_revision * PLACES + place


def whole(etcd_revision: int) -> int:
    """The store's revision when everything of etcd's revision has happened."""
    return etcd_revision * PLACES + PLACES - 1


def etcd_revision(revision: int) -> int:
    """Which of etcd's revisions a write belongs to."""
    return revision // PLACES

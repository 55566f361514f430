"""Which node a flow goes to: rendezvous hashing (Thaler, Ravishankar 1998) into a fixed number of buckets.

The kernel hashes a flow to a bucket; this says whose bucket it is. Every node has a pseudo-random score in
every bucket and the highest score wins, so a node that leaves loses its own buckets and no others, and one
that comes takes only the ones that it wins. It depends on the addresses alone: a restart changes nothing.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

Node = IPv4Address | IPv6Address

BUCKETS = 1024


@lru_cache(maxsize=4096)
def _scores(node: Node) -> tuple[int, ...]:
    return struct.unpack(f"<{BUCKETS}Q", hashlib.shake_128(str(node).encode()).digest(8 * BUCKETS))


def assign(nodes: Collection[Node]) -> list[Node]:
    """The node of each of the `BUCKETS` buckets. Empty without nodes."""
    if not nodes:
        return []
    # The address decides between equal scores, so that the order of `nodes` never matters.
    ranked = [(_scores(node), node) for node in sorted(nodes, key=int)]
    return [max(ranked, key=lambda entry: entry[0][bucket])[1] for bucket in range(BUCKETS)]

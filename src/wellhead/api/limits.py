"""How much one client may ask of the API server: every bound, in one place.

Where upstream has the bound, the default is upstream's. An error says which one it is about in `bound`: the
field's name, with dashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Whatever is above one of these is refused with the bound's own error."""

    request_body: int = 3 * MEBIBYTE
    """Bytes of a request's body (upstream's MaxRequestBodyBytes)."""
    bodies_together: int = 64 * MEBIBYTE
    """Bytes of bodies that are being read at a time, from all clients."""
    object_bytes: int = 1536 * 1024
    """Bytes of an object as it is stored, as JSON (etcd's default --max-request-bytes)."""
    body_values: int = 50_000
    """Values (scalars, lists, maps) in a body, and in what a patch makes of an object."""
    nesting: int = 100
    """How deep lists and maps of a body may lie in each other."""
    selector_terms: int = 100
    """Conditions in a label selector, and in a field selector."""
    watch_history_bytes: int = 16 * MEBIBYTE
    """Bytes of changes of a resource that are kept for its watches; who is further behind is cut off."""
    request_seconds: float = 60.0
    """Time to answer a request that is neither a watch nor a stream (upstream's --request-timeout)."""
    patch_operations: int = 10_000
    """Operations of a JSON patch (upstream's maxJSONPatchOperations)."""
    patch_copied_bytes: int = 3 * MEBIBYTE
    """Bytes that the copy operations of a JSON patch may add, as JSON (upstream's JSONPatchMaxCopyBytes)."""
    patch_moves: int = 20_000_000
    """List items that the operations of a JSON patch may shift, all together."""


DEFAULTS = Limits()


class Extent(NamedTuple):
    """How much a value as decoded from JSON is: values in it (itself included), keys, levels of nesting."""

    values: int
    keys: int
    depth: int


def extent_of(value: object) -> Extent:
    """Level by level, so that no depth is too much for it."""
    values = keys = depth = 0
    level: list[object] = [value]
    while level:
        values += len(level)
        below: list[object] = []
        containers = 0
        for each in level:
            if isinstance(each, dict):
                containers += 1
                keys += len(each)
                below += each.values()
            elif isinstance(each, list):
                containers += 1
                below += each
        depth += containers > 0
        level = below
    return Extent(values, keys, depth)

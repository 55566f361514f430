"""How much one client may ask of the API server: every bound, in one place.

Each is an option of `wellhead apiserver` (`--max-request-body` …) and counts what it refuses
(`apiserver_refused_requests_total{limit="request-body"}`). An error says in `bound` which one it is about:
the field's name, with dashes. Where upstream has the bound, the default is upstream's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MEBIBYTE = 1024 * 1024


def _bound(default: float, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, slots=True)
class Limits:
    """Whatever is above one of these is refused with the bound's own error. Each field's meaning is its
    metadata's `help`."""

    request_body: int = _bound(3 * MEBIBYTE, "Bytes of a request's body.")
    bodies_together: int = _bound(64 * MEBIBYTE, "Bytes of bodies that are being read at a time.")
    body_values: int = _bound(
        50_000, "Values (scalars, lists, maps) in a body, and in what a patch makes of an object."
    )
    nesting: int = _bound(100, "How deep lists and maps of a body may lie in each other.")
    object_bytes: int = _bound(1536 * 1024, "Bytes of an object, as stored.")
    selector_terms: int = _bound(32, "Conditions in a label selector, and in a field selector.")
    patch_operations: int = _bound(10_000, "Operations of a JSON patch.")
    patch_copied_bytes: int = _bound(3 * MEBIBYTE, "Bytes that a JSON patch may copy, all together.")
    patch_moves: int = _bound(20_000_000, "List items that a JSON patch may shift, all together.")
    request_seconds: float = _bound(60.0, "Time to answer a request that is neither a watch nor a stream.")
    requests: int = _bound(
        600,
        "Seats for requests at a time, which priority levels share; standing watches and streams need none.",
    )
    watches: int = _bound(10_000, "Watches at a time.")
    user_watches: int = _bound(2_000, "Watches at a time of one user.")
    watch_history_bytes: int = _bound(
        16 * MEBIBYTE, "Bytes of a resource's changes that are kept: who is further behind is cut off."
    )
    watch_histories_bytes: int = _bound(
        32 * MEBIBYTE, "Bytes of all resources' changes together; the resource with most of them gives way."
    )
    connections: int = _bound(
        4_096, "Connections at a time, from when they are accepted; TLS has ten seconds to be agreed on."
    )
    address_connections: int = _bound(1_024, "Connections at a time from one address.")


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


def extent_of_object(obj: Mapping[str, object]) -> Extent:
    """The same of an object, without the record that the server keeps on it: metadata.managedFields."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return extent_of(obj)
    return extent_of({**obj, "metadata": {**metadata, "managedFields": None}})

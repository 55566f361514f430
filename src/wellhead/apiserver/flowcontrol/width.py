"""How many seats a request occupies: lists, and watches that begin with one, by the bytes they may take.

Upstream: pkg/util/flowcontrol/request/list_work_estimator.go, for reads that a cache answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellhead.api.query import is_true
from wellhead.apiserver.info import RequestInfo
from wellhead.storage.cache import Collection

_BYTES_A_SEAT = 100_000
_MOST_BYTES = 1_000_000
_SAMPLE = 8


def width_of(info: RequestInfo, query: Mapping[str, str], collection: Collection) -> int:
    """At least 1. `collection` is that of the request's resource."""
    if info.selected or not _begins_with_a_list(info, query):
        return 1
    count = len(collection)
    limit = query.get("limit", "")
    if limit.isascii() and limit.isdigit() and 0 < int(limit[:10]) < count:
        count = int(limit[:10])
    # So few are no more than a seat, whatever they are: an object has at most 1.5 MB, and mostly 2 kB.
    if count <= _SAMPLE:
        return 1
    return max(1, math.ceil(min(count * collection.size_of_one, _MOST_BYTES) / _BYTES_A_SEAT))


def _begins_with_a_list(info: RequestInfo, query: Mapping[str, str]) -> bool:
    if info.verb == "list":
        return True
    return info.verb == "watch" and (
        is_true(query, "sendInitialEvents") or query.get("resourceVersion", "") in ("", "0")
    )

"""Whether objects that are to be applied are of Kubernetes' schemas."""

from __future__ import annotations

from typing import Any

from wellhead.api.meta import GroupVersionKind
from wellhead.api.schema import decode


def is_taken(obj: dict[str, Any]) -> bool:
    """Whether a strict server takes it as it stands, and adds at most what Go writes of empty fields."""
    return _within(obj, decode(obj, GroupVersionKind.of(obj), "Strict").object)


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_within, part, whole))
    return bool(part == whole)

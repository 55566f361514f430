"""Status conditions as values: replaced only when they say something new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from wellhead.api.meta import AnyObj

T = TypeVar("T", bound=AnyObj)


def find(conditions: Iterable[T], type: str) -> T | None:
    return next((entry for entry in conditions if entry.get("type") == type), None)


def put(conditions: Iterable[T], new: T) -> list[T]:
    """The conditions with `new` among them. lastTransitionTime stays while the status does.

    One that only differs in message or times from what is there changes nothing (as
    SetDeploymentCondition and SetCondition do upstream).
    """
    kept = list(conditions)
    added: Any = dict(new)
    for position, entry in enumerate(kept):
        if entry.get("type") != new["type"]:
            continue
        if entry.get("status") == new["status"]:
            if entry.get("reason") == new.get("reason"):
                return kept
            if "lastTransitionTime" in entry:
                added["lastTransitionTime"] = entry["lastTransitionTime"]
        kept[position] = added
        return kept
    return [*kept, added]


def without(conditions: Iterable[T], type: str) -> list[T]:
    return [entry for entry in conditions if entry.get("type") != type]

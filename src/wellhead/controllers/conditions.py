"""Status conditions as values: replaced only when they say something new."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.meta import Obj


def find(conditions: Iterable[Obj], type: str) -> Obj | None:
    return next((entry for entry in conditions if entry.get("type") == type), None)


def put(conditions: Iterable[Obj], new: Obj) -> list[Obj]:
    """The conditions with `new` among them. lastTransitionTime stays while the status does.

    One that only differs in message or times from what is there changes nothing (as
    SetDeploymentCondition and SetCondition do upstream).
    """
    kept = list(conditions)
    for position, entry in enumerate(kept):
        if entry.get("type") != new["type"]:
            continue
        if entry.get("status") == new["status"]:
            if entry.get("reason") == new.get("reason"):
                return kept
            if "lastTransitionTime" in entry:
                new = {**new, "lastTransitionTime": entry["lastTransitionTime"]}
        kept[position] = new
        return kept
    return [*kept, new]


def without(conditions: Iterable[Obj], type: str) -> list[Obj]:
    return [entry for entry in conditions if entry.get("type") != type]

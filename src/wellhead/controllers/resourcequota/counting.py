"""What the objects of a namespace use of a quota, purely.

Upstream: CalculateUsage in apiserver's pkg/quota/v1/resources.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity, canonical
from wellhead.api.quota.pods import plus
from wellhead.api.quota.scopes import counts, selectors
from wellhead.api.quota.usage import counted_as, names_of, usage, whole
from wellhead.api.resource import Resource

_ZERO = Quantity(0)


def counted(
    quota: Obj, numbers: Mapping[Resource, int], measured: Mapping[Resource, Iterable[Obj]], now: datetime
) -> Obj:
    """The status that the quota should have.

    `numbers` are how many objects there are of each resource, `measured` the objects themselves of those of
    which more counts than that. What nothing here can count is limited without being used.
    """
    hard = {name: canonical(text) for name, text in ((quota.get("spec") or {}).get("hard") or {}).items()}
    used = dict.fromkeys(hard, _ZERO)
    limiting = {**quota, "status": {"hard": hard}}
    for resource, objects in measured.items():
        names = names_of(resource, hard)
        if not names:
            continue
        for obj in objects:
            if counts(limiting, resource, obj):
                more = usage(resource, obj, now)
                used = plus(used, {name: more[name] for name in names if name in more})
    if not selectors(quota):  # no scope is about what is merely counted
        for resource, number in numbers.items():
            if resource not in measured:
                used |= {name: whole(number) for name in counted_as(resource) if name in hard}
    return {"hard": hard, "used": {name: str(amount) for name, amount in used.items()}}

"""What may only be used where a quota speaks of it: the `limitedResources` that the server is told of.

Upstream: CheckRequest in apiserver's pkg/admission/plugin/resourcequota/controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from wellhead.api.meta import Obj
from wellhead.api.quota.scopes import counts, matches, selectors
from wellhead.api.quota.usage import names_of, usage
from wellhead.api.resource import Resource


def uncovered(
    limited: Iterable[Obj], quotas: Iterable[Obj], resource: Resource, obj: Obj, now: datetime
) -> str:
    """Why the object may not be, for want of a quota; "" if it may."""
    limited = list(limited)
    about = [quota for quota in quotas if counts(quota, resource, obj)]
    mine = [
        each
        for each in limited
        if (each.get("apiGroup") or "", each.get("resource")) == (resource.group, resource.plural)
    ]
    parts = [part for each in mine for part in each.get("matchContains") or ()]
    if parts:
        used = usage(resource, obj, now)
        wanted = {
            name for name, amount in used.items() if amount.nanos > 0 and any(part in name for part in parts)
        }
        for quota in about:
            wanted -= set(names_of(resource, (quota.get("status") or {}).get("hard") or {}))
        if wanted:
            return f"insufficient quota to consume: {','.join(sorted(wanted))}"
    scopes = [scope for each in limited for scope in each.get("matchScopes") or ()]
    missing = [
        scope
        for scope in scopes
        if matches(scope, resource, obj)
        and not any(
            each["scopeName"] == scope.get("scopeName") for quota in about for each in selectors(quota)
        )
    ]
    if missing:
        return f"insufficient quota to match these scopes: [{' '.join(map(_shown, missing))}]"
    return ""


def _shown(scope: Obj) -> str:
    """As Go prints the struct."""
    values = " ".join(scope.get("values") or ())
    return f"{{{scope.get('scopeName')} {scope.get('operator')} [{values}]}}"

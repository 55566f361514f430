"""ResourceQuotas: what a namespace may use in all.

Upstream: ValidateResourceQuota in pkg/apis/core/validation/validation.go, pkg/registry/core/resourcequota.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.kind import Kind
from wellhead.api.kinds.amounts import validate_amount
from wellhead.api.kinds.pod.compute import STANDARD
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.quantity import canonical
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

RESOURCEQUOTAS = Resource(
    "", "v1", "ResourceQuota", "resourcequotas", short_names=("quota",), subresources=frozenset({"status"})
)

_HUGE_PAGES = ("hugepages-", "requests.hugepages-")
_OF_PODS = frozenset(
    {"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
)
_WHAT = {
    "Terminating": _OF_PODS,
    "NotTerminating": _OF_PODS,
    "NotBestEffort": _OF_PODS,
    "PriorityClass": _OF_PODS,
    "CrossNamespacePodAffinity": _OF_PODS,
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""The scopes, and what each may limit."""
_ONLY_EXISTS = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_OPPOSITE = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_OPERATOR = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
    "ResourceQuotaScopeCrossNamespacePodAffinity"
)


class ResourceQuotaStrategy(Strategy):
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        _canonical(obj.setdefault("spec", {}), "hard")

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {}

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        for field in ("hard", "used"):
            _canonical(new["status"], field)

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        hard = spec.get("hard") or {}
        causes = list(_of_amounts(hard, "spec.hard"))
        if scopes := spec.get("scopes"):
            causes += _of_scopes(scopes, hard)
        if spec.get("scopeSelector") is not None:
            causes += _of_selector(spec["scopeSelector"].get("matchExpressions") or [], spec, hard)
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        after, before = (each["spec"].get("scopes") or [] for each in (new, old))
        if set(after) != set(before):
            causes.append(Cause.invalid("spec.scopes", after, "field is immutable"))
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [
            cause
            for field in ("hard", "used")
            for cause in _of_amounts(new["status"].get(field) or {}, f"status.{field}")
        ]


def _canonical(holder: Obj, field: str) -> None:
    """In place; what is no quantity stays, for validation to find."""
    for name, text in (holder.get(field) or {}).items():
        try:
            holder[field][name] = canonical(text)
        except ValueError:
            continue


def _of_amounts(hard: Obj, at: str) -> Iterator[Cause]:
    for name, text in hard.items():
        here = f"{at}[{name}]"
        problems = qualified_name(name)
        yield from (Cause.invalid(here, name, problem) for problem in problems)
        if "/" not in name:
            known = name in STANDARD and name != "storage"
            if not problems and name not in STANDARD and not name.startswith(_HUGE_PAGES):
                yield Cause.invalid(here, name, "must be a standard resource type or fully qualified")
            if not known and not name.startswith(_HUGE_PAGES):
                yield Cause.invalid(here, name, "must be a standard resource for quota")
        yield from validate_amount(name, text, here)


def _of_scopes(scopes: list[str], hard: Obj) -> Iterator[Cause]:
    at = "spec.scopes"
    for scope in scopes:
        if scope not in _WHAT:
            yield Cause.invalid(at, scopes, "unsupported scope")
        yield from (Cause.invalid(at, scopes, text) for text in _misfits(scope, hard))
    yield from _of_opposites(set(scopes), scopes)


def _of_selector(terms: list[Obj], spec: Obj, hard: Obj) -> Iterator[Cause]:
    at = "spec.scopeSelector.matchExpressions"
    for term in terms:
        scope, operator = term.get("scopeName") or "", term.get("operator") or ""
        values = term.get("values") or []
        if scope not in _WHAT:
            yield Cause.invalid(f"{at}.scopeName", scope, "unsupported scope")
        yield from (Cause.invalid(at, spec["scopeSelector"], text) for text in _misfits(scope, hard))
        if scope in _ONLY_EXISTS and operator != "Exists":
            yield Cause.invalid(f"{at}.operator", operator, _OPERATOR)
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                yield Cause.required(f"{at}.values", text)
        elif operator not in ("Exists", "DoesNotExist"):
            yield Cause.invalid(f"{at}.operator", operator, "not a valid selector operator")
        elif values:
            text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield Cause.invalid(f"{at}.values", values, text)
    yield from _of_opposites({term.get("scopeName") or "" for term in terms}, spec.get("scopes") or [])


def _misfits(scope: str, hard: Obj) -> Iterator[str]:
    for name in sorted(hard):
        known = name in STANDARD or name.startswith(_HUGE_PAGES)
        if known and scope in _WHAT and name not in _WHAT[scope]:
            yield "unsupported scope applied to resource"


def _of_opposites(scopes: set[str], shown: list[str]) -> Iterator[Cause]:
    for pair in _OPPOSITE:
        if scopes.issuperset(pair):
            yield Cause.invalid("spec.scopes", shown, "conflicting scopes")


def _cells(quota: Obj, now: datetime) -> list[Cell]:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    shown = [(name, f"{name}: {used.get(name, '0')}/{hard[name]}") for name in sorted(hard)]
    return [
        cells.name(quota),
        ", ".join(text for name, text in shown if not name.startswith("limits.")),
        ", ".join(text for name, text in shown if name.startswith("limits.")),
        cells.created(quota, now),
    ]


KIND = Kind(
    RESOURCEQUOTAS, ResourceQuotaStrategy(), Printer((NAME, Column("Request"), Column("Limit"), AGE), _cells)
)

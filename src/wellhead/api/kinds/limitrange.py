"""LimitRanges: what one pod, container or claim of a namespace may and must ask for, and asks for by default.

Upstream: ValidateLimitRange in pkg/apis/core/validation/validation.go, SetDefaults_LimitRangeItem.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.kind import Kind
from wellhead.api.kinds.amounts import is_native
from wellhead.api.kinds.pod.compute import STANDARD, of_container
from wellhead.api.meta import Obj
from wellhead.api.printer import NAME, Cell, Column, Printer
from wellhead.api.quantity import Quantity, canonical
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

LIMITRANGES = Resource("", "v1", "LimitRange", "limitranges", short_names=("limits",))

_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_ONE = Quantity.parse("1")
_Found = dict[str, Quantity]


class LimitRangeStrategy(Strategy):
    created_by_update = True

    def default(self, obj: Obj) -> None:
        for item in obj.setdefault("spec", {}).setdefault("limits", []):
            for field in _FIELDS:
                for name, text in (item.get(field) or {}).items():
                    item[field][name] = _canonical(text)
            if item.get("type") == "Container":
                _fill_in(item)

    def validate(self, obj: Obj) -> list[Cause]:
        causes: list[Cause] = []
        seen: set[str] = set()
        for index, item in enumerate(obj["spec"]["limits"]):
            at, kind = f"spec.limits[{index}]", item.get("type") or ""
            causes += _of_type(kind, f"{at}.type")
            if kind in seen:
                causes.append(Cause.duplicate(f"{at}.type", kind))
            seen.add(kind)
            causes += _of_item(item, kind, at)
        return causes


def _canonical(text: str | float) -> str | float:
    try:
        return canonical(text)
    except ValueError:
        return text


def _fill_in(item: Obj) -> None:
    """A maximum is a limit by default, and that a request; without one, the minimum is."""
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    for field, amounts in (("default", limits), ("defaultRequest", requests)):
        if amounts:
            item[field] = amounts
        else:
            item.pop(field, None)


def _of_type(kind: str, at: str) -> list[Cause]:
    problems = qualified_name(kind)
    if problems:
        return [Cause.invalid(at, kind, problem) for problem in problems]
    if "/" not in kind and kind not in _TYPES:
        return [Cause.invalid(at, kind, "must be a standard limit type or fully qualified")]
    return []


def _of_item(item: Obj, kind: str, at: str) -> Iterator[Cause]:
    found: dict[str, _Found] = {field: {} for field in _FIELDS}
    for field in _FIELDS:
        amounts = item.get(field) or {}
        if kind == "Pod" and field in ("default", "defaultRequest"):
            if amounts:
                yield Cause.forbidden(f"{at}.{field}", "may not be specified when `type` is 'Pod'")
            continue
        for name, text in amounts.items():
            here = f"{at}.{field}[{name}]"
            yield from of_container(name, here) if kind in ("Pod", "Container") else _of_name(name, here)
            try:
                found[field][name] = Quantity.parse(text)
            except ValueError as error:
                yield Cause.invalid(here, text, str(error))
    if kind == "PersistentVolumeClaim" and not any("storage" in found[field] for field in ("min", "max")):
        text = "either minimum or maximum storage value is required, but neither was provided"
        yield Cause.required(f"{at}.limits", text)
    for name in sorted({name for amounts in found.values() for name in amounts}):
        yield from _compare(name, {field: found[field].get(name) for field in _FIELDS}, at)


def _of_name(name: str, at: str) -> Iterator[Cause]:
    problems = qualified_name(name)
    yield from (Cause.invalid(at, name, problem) for problem in problems)
    if not problems and "/" not in name and name not in STANDARD and not name.startswith("hugepages-"):
        yield Cause.invalid(at, name, "must be a standard resource type or fully qualified")


def _compare(name: str, amounts: dict[str, Quantity | None], at: str) -> Iterator[Cause]:
    most, least, limit, request, ratio = (amounts[field] for field in _FIELDS)
    rules = (
        ("min", least, least, most, "min value {} is greater than max value {}"),
        ("defaultRequest", request, least, request, "min value {} is greater than default request value {}"),
        ("defaultRequest", request, request, most, "default request value {} is greater than max value {}"),
        (
            "defaultRequest",
            request,
            request,
            limit,
            "default request value {} is greater than default limit value {}",
        ),
        ("default", least, least, limit, "min value {} is greater than default value {}"),
        ("default", most, limit, most, "default value {} is greater than max value {}"),
    )
    for field, shown, low, high, text in rules:
        if low is not None and high is not None and low > high:
            yield Cause.invalid(f"{at}.{field}[{name}]", str(shown), text.format(low, high))
    if ratio is not None:
        here = f"{at}.maxLimitRequestRatio[{name}]"
        if ratio < _ONE:
            yield Cause.invalid(here, str(ratio), f"ratio {ratio} is less than 1")
        if least is not None and most is not None and least.nanos:
            bound = most.nanos / least.nanos
            if ratio.nanos / _ONE.nanos > bound:
                text = f"ratio {ratio} is greater than max/min = {bound:f}"
                yield Cause.invalid(here, str(ratio), text)
    overcommits = is_native(name) and not name.startswith("hugepages-")
    if not overcommits and limit is not None and request is not None and limit != request:
        text = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        yield Cause.invalid(f"{at}.defaultRequest[{name}]", str(request), text)


def _cells(limits: Obj, now: datetime) -> list[Cell]:
    return [cells.name(limits), limits["metadata"].get("creationTimestamp") or cells.NONE]


KIND = Kind(LIMITRANGES, LimitRangeStrategy(), Printer((NAME, Column("Created At", "date")), _cells))

"""What valid conditions are, of kinds that use the common type.

Upstream: ValidateConditions in apimachinery's pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.meta import Obj

_STATUSES = ("False", "True", "Unknown")
_REASON = re.compile("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", re.ASCII)
_REASON_FORM = (
    "a condition reason must start with alphabetic character, optionally followed by a string of "
    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' "
    "(e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', "
    f"regex used for validation is '{_REASON.pattern}')"
)
_LONGEST_REASON = 1024
_LONGEST_MESSAGE = 32 * 1024


def validate_conditions(conditions: Sequence[Obj], at: str) -> Iterator[Cause]:
    """Of an object's status, at that path."""
    yield from once_each(conditions, at)
    for index, condition in enumerate(conditions):
        yield from _validate(condition, f"{at}[{index}]")


def once_each(conditions: Sequence[Obj], at: str) -> Iterator[Cause]:
    """That there is one condition of each type."""
    seen = set()
    for index, condition in enumerate(conditions):
        kind = condition.get("type") or ""
        if kind in seen:
            yield Cause.duplicate(f"{at}[{index}].type", kind)
        seen.add(kind)


def _validate(condition: Obj, at: str) -> Iterator[Cause]:
    kind, status, reason = (condition.get(field) or "" for field in ("type", "status", "reason"))
    for problem in qualified_name(kind):
        yield Cause.invalid(f"{at}.type", kind, problem)
    if status not in _STATUSES:
        yield Cause.not_supported(f"{at}.status", status, _STATUSES)
    if (generation := condition.get("observedGeneration") or 0) < 0:
        text = "must be greater than or equal to zero"
        yield Cause.invalid(f"{at}.observedGeneration", generation, text)
    if not condition.get("lastTransitionTime"):
        yield Cause.required(f"{at}.lastTransitionTime")
    if not reason:
        yield Cause.required(f"{at}.reason")
    elif not _REASON.fullmatch(reason):
        yield Cause.invalid(f"{at}.reason", reason, _REASON_FORM)
    if len(reason.encode()) > _LONGEST_REASON:
        yield Cause.too_long(f"{at}.reason", _LONGEST_REASON)
    if len((condition.get("message") or "").encode()) > _LONGEST_MESSAGE:
        yield Cause.too_long(f"{at}.message", _LONGEST_MESSAGE)

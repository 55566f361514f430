"""One evaluation under way: its variables and its cost, and how values are looked into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wellhead.api.cel.values import (
    NONE,
    CostExceeded,
    EvaluationError,
    Optional,
    no_such_key,
    no_such_overload,
    optional,
    type_name,
)

_EFFORT_AT_COST_ONE = 2


class Frame:
    """One evaluation: its variables, and what it has cost so far."""

    __slots__ = ("cost", "effort", "limit", "variables")

    def __init__(self, variables: Mapping[str, Any], limit: int) -> None:
        self.variables = dict(variables)
        self.limit = limit
        self.cost = 0
        self.effort = 0

    def charge(self, cost: int) -> None:
        """Raises CostExceeded."""
        self.cost += cost
        if self.cost > self.limit:
            raise CostExceeded

    def work(self, effort: int) -> None:
        """Raises CostExceeded."""
        self.effort += effort
        if self.effort > self.limit * _EFFORT_AT_COST_ONE:
            raise CostExceeded

    @property
    def spent(self) -> int:
        """What it has cost, or if that is more, what it was worth."""
        return max(self.cost, self.effort // _EFFORT_AT_COST_ONE)


Evaluate = Callable[[Frame], Any]


class Lazy:
    """A variable whose value is made when it is first asked for."""

    __slots__ = ("_make", "_value")

    def __init__(self, make: Callable[[Frame], Any]) -> None:
        self._make: Callable[[Frame], Any] | None = make
        self._value: Any = None

    def get(self, frame: Frame) -> Any:
        if self._make is not None:
            try:
                self._value = self._make(frame)
            except EvaluationError as error:
                self._value = error
            self._make = None
        if isinstance(self._value, EvaluationError):
            raise self._value
        return self._value


class Fields:
    """An object some of whose fields are made when they are asked for: `variables.x`."""

    type_name = "variables"

    def __init__(self) -> None:
        self.fields: dict[str, Lazy] = {}


MISSING = object()


def at(value: Any, key: Any) -> Any:
    """What is there under a key or an index, or MISSING. Raises EvaluationError."""
    if isinstance(value, dict):
        if isinstance(key, bool | str | int):
            return value.get(key, MISSING)
        if isinstance(key, float):
            return value.get(int(key), MISSING) if key.is_integer() else MISSING
        raise no_such_overload()
    if isinstance(value, list):
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, bool) or not isinstance(key, int):
            raise EvaluationError(f"unsupported index type '{type_name(key)}' in list")
        return value[key] if 0 <= key < len(value) else MISSING
    raise no_such_overload()


def field_of(frame: Frame, value: Any, field: str) -> Any:
    if isinstance(value, dict):
        try:
            return value[field]
        except KeyError:
            raise no_such_key(field) from None
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        found = at(value.value, field)
        return NONE if found is MISSING else optional(found)
    if isinstance(value, Fields):
        if field not in value.fields:
            raise no_such_key(field)
        return value.fields[field].get(frame)
    raise no_such_overload()


def has(value: Any, field: str) -> bool:
    if isinstance(value, Optional):
        return value.present and has(value.value, field)
    if isinstance(value, Fields):
        return field in value.fields
    if isinstance(value, dict):
        return field in value
    raise no_such_overload()

"""What has to be reached, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from bench.limits import Limits
from bench.measure import Result


@dataclass(frozen=True)
class Target(Limits):
    """One row: what is said of the result of that name and case."""

    what: str
    result: str
    case: str = ""


T = TypeVar("T", bound=Target)


@dataclass(frozen=True)
class Compared(Generic[T]):
    """A target and what was measured."""

    target: T
    result: Result

    @property
    def verdict(self) -> str:
        return self.target.verdict(self.result.value)

    def as_json(self) -> dict[str, Any]:
        found = {"wanted": self.target.wanted, "value": self.result.value, "unit": self.result.unit}
        return asdict(self.target) | found | {"verdict": self.verdict}


def compare(targets: Sequence[T], results: Sequence[Result]) -> list[Compared[T]]:
    """The targets that something was measured for, in their order."""
    found = {(each.name, each.case): each for each in results}
    return [
        Compared(each, found[each.result, each.case]) for each in targets if (each.result, each.case) in found
    ]

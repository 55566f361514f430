"""What webhooks and policies that change objects share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from wellhead.api import schema
from wellhead.api.custom import decoding as custom
from wellhead.api.custom.strategy import CustomStrategy
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import kind_of

T = TypeVar("T")


@dataclass(slots=True)
class Reinvocation(Generic[T]):
    """Who was asked, and who is to be asked again because something else changed the object since."""

    asked: set[T] = field(default_factory=set)
    """Those with the policy IfNeeded, since the object was last changed."""
    due: set[T] = field(default_factory=set)
    left: Obj = field(default_factory=dict)
    """The object as the first round left it."""

    def changed(self) -> None:
        self.due |= self.asked
        self.asked.clear()


_FEW = 1000  # values


def is_small(obj: Any) -> bool:
    """Whether it takes little time to copy the object and to complete it."""
    left = _FEW
    rest = [obj]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            rest += each.values()
        elif isinstance(each, list):
            rest += each
        left -= 1
        if left < len(rest):
            return False
    return True


def completed(changed: Obj, kind: GroupVersionKind, resource: Resource | None) -> Obj:
    """As reading a body would, with its defaults: of the resource itself, or (None) of a kind that a
    subresource takes. Raises ApiError."""
    if resource is not None and resource.custom is not None:
        strategy = resource.custom.strategy
        assert isinstance(strategy, CustomStrategy)
        found = custom.decode(changed, kind, strategy.schema, "Ignore").object
    else:
        try:
            found = schema.decode(changed, kind, "Ignore").object
        except KeyError:  # options of streams have no schema
            return changed
    if resource is not None:
        kind_of(resource).strategy.default(found)
    return found

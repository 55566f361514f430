"""What an action is made of, as rules are asked about it."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.selectors import FieldSelector
from wellhead.apiserver.info import RequestInfo

_UNSELECTED = FieldSelector()


@dataclass(frozen=True, slots=True)
class Attributes:
    """An action on a resource, or (with `path`) on a path that is none's."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: FieldSelector = _UNSELECTED
    """What a list or a watch is limited to (KEP-4601)."""

    @classmethod
    def of(cls, info: RequestInfo) -> Attributes:
        if info.resource is None:
            return cls(info.verb, path=info.path)
        resource = info.resource
        return cls(
            info.verb,
            resource.group,
            resource.plural,
            info.subresource,
            info.namespace,
            info.name or info.selected,
            fields=info.fields,
        )

    @property
    def full_resource(self) -> str:
        """`pods/status`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

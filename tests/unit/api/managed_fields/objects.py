"""A Service and a Deployment of which tests change something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wellhead.api.managed_fields.apply import applied
from wellhead.api.managed_fields.types import Type, type_of
from wellhead.api.managed_fields.update import Kind, Writer, updated
from wellhead.api.meta import GroupVersionKind, Obj

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
SERVICE = GroupVersionKind("", "v1", "Service")
CONFIGMAP = GroupVersionKind("", "v1", "ConfigMap")
POD = GroupVersionKind("", "v1", "Pod")


@dataclass
class Live:
    """An object on a server, and a clock that goes on by a second with each write."""

    gvk: GroupVersionKind
    object: Obj = field(default_factory=dict)
    second: int = 0
    known: Type | None = None
    """The type, of what has none in the API's schema."""

    @property
    def kind(self) -> Kind:
        return Kind(self.gvk.api_version, self.known or type_of(self.gvk))

    def writer(self, manager: str, subresource: str = "") -> Writer:
        self.second += 1
        return Writer(manager, f"2026-01-01T00:00:{self.second:02}Z", subresource)

    def update(self, manager: str, new: Obj, subresource: str = "") -> Live:
        new = self._named(new)
        entries = updated(self.kind, self.object, new, self.writer(manager, subresource))
        metadata = {name: value for name, value in new["metadata"].items() if name != "managedFields"}
        if entries:
            metadata["managedFields"] = entries
        self.object = new | {"metadata": metadata}
        return self

    def apply(self, manager: str, config: Obj, *, force: bool = False) -> Live:
        config = self._named(config)
        self.object = applied(self.kind, self.object, config, self.gvk, self.writer(manager), force=force)
        return self

    def _named(self, obj: Obj) -> Obj:
        metadata: Obj = {"name": "x"} | (obj.get("metadata") or {})
        return {"apiVersion": self.gvk.api_version, "kind": self.gvk.kind} | obj | {"metadata": metadata}

    def fields(self, manager: str, operation: str = "") -> Any:
        """What the manager has; {} if nothing."""
        found = [
            entry["fieldsV1"]
            for entry in self.object["metadata"].get("managedFields") or []
            if entry["manager"] == manager and operation in ("", entry["operation"])
        ]
        return found[0] if found else {}

    @property
    def managers(self) -> list[str]:
        return [entry["manager"] for entry in self.object["metadata"].get("managedFields") or []]

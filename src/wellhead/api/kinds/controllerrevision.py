"""ControllerRevisions: what a DaemonSet or StatefulSet asked for at one time."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj, controller_of
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

CONTROLLERREVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")


class ControllerRevisionStrategy(Strategy):
    def default(self, obj: Obj) -> None:
        obj.setdefault("revision", 0)

    def validate(self, obj: Obj) -> list[Cause]:
        revision = obj["revision"]
        if revision >= 0:
            return []
        return [Cause.invalid("revision", revision, "must be greater than or equal to 0")]

    def validate_create(self, obj: Obj) -> list[Cause]:
        data = obj.get("data")
        if data is None:
            return [*self.validate(obj), Cause.required("data", "data is mandatory")]
        if not isinstance(data, dict):
            return [*self.validate(obj), Cause.required("data", "data must be a valid JSON object")]
        return self.validate(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        if new.get("data") != old.get("data"):
            causes.append(Cause.invalid("data", new.get("data"), "field is immutable"))
        return causes


def _cells(revision: Obj, now: datetime) -> list[Cell]:
    return [cells.name(revision), _controller(revision), revision["revision"], cells.created(revision, now)]


def _controller(revision: Obj) -> str:
    reference = controller_of(revision)
    if reference is None:
        return cells.NONE
    group = reference["apiVersion"].rpartition("/")[0]
    kind = reference["kind"].lower()
    return f"{kind}.{group}/{reference['name']}" if group else f"{kind}/{reference['name']}"


_PRINTER = Printer((NAME, Column("Controller"), Column("Revision"), AGE), _cells)

KIND = Kind(CONTROLLERREVISIONS, ControllerRevisionStrategy(), _PRINTER)

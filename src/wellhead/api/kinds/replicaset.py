"""ReplicaSets."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.workload import (
    default_workload,
    validate_fixed_selector,
    validate_status,
    validate_workload,
)
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

REPLICASETS = Resource(
    "apps",
    "v1",
    "ReplicaSet",
    "replicasets",
    short_names=("rs",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    field_labels=("status.replicas",),
)


class ReplicaSetStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        default_workload(obj.setdefault("spec", {}))

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj) -> list[Cause]:
        return validate_workload(obj["spec"])

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*self.validate(new), *validate_fixed_selector(new, old)]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status(new["status"], "fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def _cells(replicaset: Obj, now: datetime) -> list[Cell]:
    spec, status = replicaset["spec"], replicaset.get("status") or {}
    return [
        cells.name(replicaset),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        cells.created(replicaset, now),
        *cells.containers((spec.get("template") or {}).get("spec") or {}),
        cells.selector(spec.get("selector")),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        AGE,
        Column("Containers", wide=True),
        Column("Images", wide=True),
        Column("Selector", wide=True),
    ),
    _cells,
)

KIND = Kind(REPLICASETS, ReplicaSetStrategy(), _PRINTER)

"""ReplicaSets."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import containers, created, name, selector
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(replicaset: Obj, now: datetime) -> list[Cell]:
    spec, status = replicaset["spec"], replicaset.get("status") or {}
    return [
        name(replicaset),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        created(replicaset, now),
        *containers((spec.get("template") or {}).get("spec") or {}),
        selector(spec.get("selector")),
    ]


PRINTER = Printer(
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

"""What ReplicaSets and ReplicationControllers have in common: so many pods of one template."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kinds.workload import TemplateStrategy, validate_status
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.strategy import Context


class ReplicatedStrategy(TemplateStrategy):
    """Counts of pods that begin at 0 and are never negative."""

    counts_generations = True

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"replicas": 0}

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status(new["status"], "fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def printer(selector_cell: Callable[[Any], Cell]) -> Printer:
    """The columns; the kinds' selectors are written differently."""

    def row(obj: Obj, now: datetime) -> list[Cell]:
        spec, status = obj["spec"], obj.get("status") or {}
        return [
            cells.name(obj),
            spec.get("replicas", 1),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            cells.created(obj, now),
            *cells.containers((spec.get("template") or {}).get("spec") or {}),
            selector_cell(spec.get("selector")),
        ]

    columns = (
        NAME,
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        AGE,
        Column("Containers", wide=True),
        Column("Images", wide=True),
        Column("Selector", wide=True),
    )
    return Printer(columns, row)

"""Deployments."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import containers, created, name, selector
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(deployment: Obj, now: datetime) -> list[Cell]:
    spec, status = deployment["spec"], deployment.get("status") or {}
    return [
        name(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        created(deployment, now),
        *containers(spec["template"].get("spec") or {}),
        selector(spec.get("selector")),
    ]


PRINTER = Printer(
    (
        NAME,
        Column("Ready"),
        Column("Up-to-date"),
        Column("Available"),
        AGE,
        Column("Containers", wide=True),
        Column("Images", wide=True),
        Column("Selector", wide=True),
    ),
    _cells,
)

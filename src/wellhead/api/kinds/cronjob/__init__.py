"""CronJobs: their rules and columns."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.ages import age
from wellhead.api.kind import Kind
from wellhead.api.kinds.cronjob.resource import CRONJOBS
from wellhead.api.kinds.cronjob.strategy import CronJobStrategy
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer


def _cells(cronjob: Obj, now: datetime) -> list[Cell]:
    spec, status = cronjob["spec"], cronjob.get("status") or {}
    last = status.get("lastScheduleTime")
    job = spec["jobTemplate"].get("spec") or {}
    return [
        cells.name(cronjob),
        spec.get("schedule", ""),
        spec.get("timeZone", cells.NONE),
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else cells.NONE,
        cells.created(cronjob, now),
        *cells.containers(job["template"].get("spec") or {}),
        cells.selector(job.get("selector")),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Schedule"),
        Column("Timezone"),
        Column("Suspend", "boolean"),
        Column("Active", "integer"),
        Column("Last Schedule"),
        AGE,
        Column("Containers", wide=True),
        Column("Images", wide=True),
        Column("Selector", wide=True),
    ),
    _cells,
)

KIND = Kind(CRONJOBS, CronJobStrategy(), _PRINTER)

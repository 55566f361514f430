"""How `kubectl get` shows Jobs."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.ages import human_duration
from wellhead.api.meta import Obj, is_condition_true, is_deleting, parse_time
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer


def _status(job: Obj) -> str:
    for name in ("Complete", "Failed"):
        if is_condition_true(job, name):
            return name
    if is_deleting(job):
        return "Terminating"
    for name in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if is_condition_true(job, name):
            return name
    return "Running"


def _completions(spec: Obj, succeeded: int) -> str:
    if "completions" in spec:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _cells(job: Obj, now: datetime) -> list[Cell]:
    spec, status = job["spec"], job.get("status") or {}
    start, end = status.get("startTime"), status.get("completionTime")
    lasted = (parse_time(end) if end else now) - parse_time(start) if start else None
    return [
        cells.name(job),
        _status(job),
        _completions(spec, status.get("succeeded", 0)),
        "" if lasted is None else human_duration(lasted.total_seconds()),
        cells.created(job, now),
        *cells.containers(spec["template"].get("spec") or {}),
        cells.selector(spec.get("selector")),
    ]


PRINTER = Printer(
    (
        NAME,
        Column("Status"),
        Column("Completions"),
        Column("Duration"),
        AGE,
        Column("Containers", wide=True),
        Column("Images", wide=True),
        Column("Selector", wide=True),
    ),
    _cells,
)

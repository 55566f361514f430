"""ReplicationControllers."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.workload import (
    default_template,
    mismatch,
    validate_not_negative,
    validate_status,
    validate_template,
)
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

REPLICATIONCONTROLLERS = Resource(
    "",
    "v1",
    "ReplicationController",
    "replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    field_labels=("status.replicas",),
    strict_field_labels=True,
)


class ReplicationControllerStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        if spec.get("template") is None:
            return
        default_template(spec)
        labels = spec["template"]["metadata"].get("labels")
        if labels:
            spec["selector"] = spec.get("selector") or dict(labels)
            metadata = obj["metadata"]
            metadata["labels"] = metadata.get("labels") or dict(labels)

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        selector, template = spec.get("selector") or {}, spec.get("template")
        causes = validate_not_negative(spec, "minReadySeconds", "replicas")
        if not selector:
            causes.append(Cause.required("spec.selector"))
        if template is None:
            return [*causes, Cause.required("spec.template")]
        labels = template["metadata"].get("labels") or {}
        if not selector.items() <= labels.items():
            causes.append(mismatch(labels))
        return [*causes, *validate_template(template, "ReplicationController")]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status(new["status"], "fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def _cells(controller: Obj, now: datetime) -> list[Cell]:
    spec, status = controller["spec"], controller.get("status") or {}
    return [
        cells.name(controller),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        cells.created(controller, now),
        *cells.containers((spec.get("template") or {}).get("spec") or {}),
        cells.labels(spec.get("selector")),
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

KIND = Kind(REPLICATIONCONTROLLERS, ReplicationControllerStrategy(), _PRINTER)

"""ReplicationControllers."""

from __future__ import annotations

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.replicated import ReplicatedStrategy, printer
from wellhead.api.kinds.workload import (
    default_template,
    mismatch,
    validate_not_negative,
    validate_template,
)
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource

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


class ReplicationControllerStrategy(ReplicatedStrategy):
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


KIND = Kind(REPLICATIONCONTROLLERS, ReplicationControllerStrategy(), printer(cells.labels))

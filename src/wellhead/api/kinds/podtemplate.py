"""PodTemplates: a pod's description by itself. Upstream: pkg/registry/core/podtemplate."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.pod.annotations import validate_annotations as validate_pod_annotations
from wellhead.api.kinds.pod.rules import validate_pod_spec
from wellhead.api.kinds.pod.spec import default_pod_spec
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_annotations, validate_labels
from wellhead.api.printer import NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.warnings import pods

PODTEMPLATES = Resource("", "v1", "PodTemplate", "podtemplates")


class PodTemplateStrategy(Strategy):
    counts_generations = True
    returned_when_deleted = True

    def warnings(self, obj: Obj) -> list[str]:
        return pods.of_template("template", obj.get("template"))

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        return [] if old and new.get("template") == old.get("template") else self.warnings(new)

    def default(self, obj: Obj) -> None:
        template = obj.setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}))

    def validate(self, obj: Obj) -> list[Cause]:
        metadata = obj["template"]["metadata"]
        return [
            *validate_labels(metadata.get("labels"), "template.labels"),
            *validate_annotations(metadata.get("annotations"), "template.annotations"),
            *validate_pod_annotations(
                metadata.get("annotations") or {}, obj["template"]["spec"], "template.annotations"
            ),
            *validate_pod_spec(obj["template"]["spec"], "template.spec"),
        ]


def _cells(template: Obj, now: datetime) -> list[Cell]:
    inside = template["template"]
    labels = (inside.get("metadata") or {}).get("labels")
    return [cells.name(template), *cells.containers(inside.get("spec") or {}), cells.labels(labels)]


KIND = Kind(
    PODTEMPLATES,
    PodTemplateStrategy(),
    Printer((NAME, Column("Containers"), Column("Images"), Column("Pod Labels")), _cells),
)

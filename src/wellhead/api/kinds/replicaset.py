"""ReplicaSets."""

from __future__ import annotations

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.replicated import ReplicatedStrategy, printer
from wellhead.api.kinds.workload import (
    default_workload,
    validate_fixed_selector,
    validate_workload,
)
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource

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


class ReplicaSetStrategy(ReplicatedStrategy):
    def default(self, obj: Obj) -> None:
        default_workload(obj.setdefault("spec", {}))

    def validate(self, obj: Obj) -> list[Cause]:
        return validate_workload(obj["spec"])

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*self.validate(new), *validate_fixed_selector(new, old)]


KIND = Kind(REPLICASETS, ReplicaSetStrategy(), printer(cells.selector))

"""ReplicaSets."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.kinds.workload import default_workload, validate_fixed_selector, validate_workload
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy


class ReplicaSetStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        default_workload(obj.setdefault("spec", {}))

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj) -> list[Cause]:
        return validate_workload(obj["spec"], "replicaset")

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*self.validate(new), *validate_fixed_selector(new, old)]


STRATEGIES = {"apps": ReplicaSetStrategy()}

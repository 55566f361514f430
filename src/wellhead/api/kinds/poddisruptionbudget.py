"""PodDisruptionBudgets: how many pods of a group may be made unavailable on purpose."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.condition_rules import validate_conditions
from wellhead.api.errors import Cause
from wellhead.api.formats import path_segment
from wellhead.api.kind import Kind
from wellhead.api.kinds.workload import validate_counts, validate_share_of_all
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

PODDISRUPTIONBUDGETS = Resource(
    "policy",
    "v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    short_names=("pdb",),
    subresources=frozenset({"status"}),
)

_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


class PodDisruptionBudgetStrategy(Strategy):
    name_check = staticmethod(path_segment)
    needs_version = True
    counts_generations = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {})

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = dict.fromkeys(_COUNTS, 0)

    def validate(self, obj: Obj) -> list[Cause]:
        spec, causes = obj["spec"], list[Cause]()
        if "minAvailable" in spec and "maxUnavailable" in spec:
            text = "minAvailable and maxUnavailable cannot be both set"
            causes.append(Cause.invalid("spec", spec, text))
        for field in ("minAvailable", "maxUnavailable"):
            if field in spec:
                causes += validate_share_of_all(spec[field], f"spec.{field}")
        if spec.get("selector") is not None:
            causes += validate_label_selector(spec["selector"], "spec.selector")
        policy = spec.get("unhealthyPodEvictionPolicy")
        if policy is not None and policy not in _POLICIES:
            causes.append(Cause.not_supported("spec.unhealthyPodEvictionPolicy", policy, _POLICIES))
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        conditions = new["status"].get("conditions") or ()
        return [
            *validate_conditions(conditions, "status.conditions"),
            *validate_counts(new["status"], *_COUNTS),
        ]


def _cells(budget: Obj, now: datetime) -> list[Cell]:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    return [
        cells.name(budget),
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        status.get("disruptionsAllowed", 0),
        cells.created(budget, now),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Min Available"),
        Column("Max Unavailable"),
        Column("Allowed Disruptions", "integer"),
        AGE,
    ),
    _cells,
)

KIND = Kind(PODDISRUPTIONBUDGETS, PodDisruptionBudgetStrategy(), _PRINTER)

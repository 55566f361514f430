"""Deployments."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.workload import (
    TemplateStrategy,
    default_workload,
    is_nothing,
    validate_collisions,
    validate_fixed_selector,
    validate_not_negative,
    validate_share,
    validate_share_of_all,
    validate_status,
    validate_workload,
)
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context

DEPLOYMENTS = Resource(
    "apps",
    "v1",
    "Deployment",
    "deployments",
    short_names=("deploy",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
)

_STRATEGIES = ("Recreate", "RollingUpdate")


class DeploymentStrategy(TemplateStrategy):
    counts_generations = True
    status_metadata = TemplateStrategy.status_metadata - {"labels"}

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        default_workload(spec)
        strategy = spec.setdefault("strategy", {})
        strategy["type"] = strategy.get("type") or "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {}

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        causes = validate_workload(spec)
        causes += validate_not_negative(spec, "revisionHistoryLimit", "progressDeadlineSeconds")
        causes += _validate_strategy(spec["strategy"])
        if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
            causes.append(
                Cause.invalid(
                    "spec.progressDeadlineSeconds",
                    spec["progressDeadlineSeconds"],
                    "must be greater than minReadySeconds",
                )
            )
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*self.validate(new), *validate_fixed_selector(new, old)]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = validate_status(new["status"], "updatedReplicas", "readyReplicas", "availableReplicas")
        return [*causes, *validate_collisions(new, old)]


def _validate_strategy(strategy: Obj) -> list[Cause]:
    at = "spec.strategy"
    if strategy["type"] not in _STRATEGIES:
        return [Cause.not_supported(at, strategy, _STRATEGIES)]
    if strategy["type"] == "Recreate":
        if "rollingUpdate" not in strategy:
            return []
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [Cause.forbidden(f"{at}.rollingUpdate", text)]
    rolling = strategy["rollingUpdate"]
    causes: list[Cause] = []
    for field in ("maxUnavailable", "maxSurge"):
        causes += validate_share(rolling[field], f"{at}.rollingUpdate.{field}")
    if not causes:
        unavailable = rolling["maxUnavailable"]
        here = f"{at}.rollingUpdate.maxUnavailable"
        if is_nothing(unavailable) and is_nothing(rolling["maxSurge"]):
            causes.append(Cause.invalid(here, unavailable, "may not be 0 when `maxSurge` is 0"))
        causes += validate_share_of_all(unavailable, here)
    return causes


def _cells(deployment: Obj, now: datetime) -> list[Cell]:
    spec, status = deployment["spec"], deployment.get("status") or {}
    return [
        cells.name(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        cells.created(deployment, now),
        *cells.containers(spec["template"].get("spec") or {}),
        cells.selector(spec.get("selector")),
    ]


_PRINTER = Printer(
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

KIND = Kind(DEPLOYMENTS, DeploymentStrategy(), _PRINTER)

"""DaemonSets."""

from __future__ import annotations

import re
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, Undecodable
from wellhead.api.kind import Kind
from wellhead.api.kinds.workload import (
    TemplateStrategy,
    default_template,
    is_nothing,
    validate_collisions,
    validate_counts,
    validate_fixed_selector,
    validate_not_negative,
    validate_selection,
    validate_share_of_all,
    validate_template,
)
from wellhead.api.meta import Obj
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context
from wellhead.api.warnings import pods
from wellhead.text import quoted

DAEMONSETS = Resource(
    "apps",
    "v1",
    "DaemonSet",
    "daemonsets",
    short_names=("ds",),
    categories=("all",),
    subresources=frozenset({"status"}),
)
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation that apps/v1 keeps what was spec.templateGeneration in."""

_NUMBER = re.compile("[-+]?[0-9]{1,18}", re.ASCII)
_STRATEGIES = ("RollingUpdate", "OnDelete")
_REQUIRED_COUNTS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
_COUNTS = (
    *_REQUIRED_COUNTS,
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


class DaemonSetStrategy(TemplateStrategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        text = annotations_of(obj).get(TEMPLATE_GENERATION, "0")
        if not _NUMBER.fullmatch(text):
            problem = f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax"
            raise Undecodable("DaemonSet", "v1", problem)
        default_template(spec)
        strategy = spec.setdefault("updateStrategy", {})
        strategy["type"] = strategy.get("type") or "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)
        spec.setdefault("revisionHistoryLimit", 10)

    def warnings(self, obj: Obj) -> list[str]:
        return [*pods.of_template("spec.template", obj["spec"].get("template"))]

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = dict.fromkeys(_REQUIRED_COUNTS, 0)
        _set_generation(obj, max(1, _generation(obj)))

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        before = _generation(old)
        changed = new["spec"]["template"] != old["spec"]["template"]
        _set_generation(new, before + 1 if changed else before)

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        _set_generation(new, _generation(old))

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        causes = validate_selection(spec, "daemonset")
        causes += validate_template(spec["template"], "DaemonSet")
        causes += validate_not_negative(spec, "minReadySeconds", "revisionHistoryLimit")
        return causes + _validate_strategy(spec["updateStrategy"])

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*validate_fixed_selector(new, old), *self.validate(new)]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*validate_counts(new["status"], *_COUNTS), *validate_collisions(new, old)]


def _generation(obj: Obj) -> int:
    return int(annotations_of(obj).get(TEMPLATE_GENERATION, "0"))


def _set_generation(obj: Obj, generation: int) -> None:
    metadata = obj["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}


def _validate_strategy(strategy: Obj) -> list[Cause]:
    at = "spec.updateStrategy"
    if strategy["type"] == "OnDelete":
        return []
    if strategy["type"] != "RollingUpdate":
        return [Cause.not_supported(at, strategy, _STRATEGIES)]
    rolling, at = strategy["rollingUpdate"], f"{at}.rollingUpdate"
    causes: list[Cause] = []
    for field in ("maxUnavailable", "maxSurge"):
        causes += validate_share_of_all(rolling[field], f"{at}.{field}")
    unavailable, surge = (not is_nothing(rolling[field]) for field in ("maxUnavailable", "maxSurge"))
    if unavailable and surge:
        text = "may not be set when maxUnavailable is non-zero"
        causes.append(Cause.invalid(f"{at}.maxSurge", rolling["maxSurge"], text))
    if not unavailable and not surge:
        causes.append(Cause.required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return causes


def _cells(daemonset: Obj, now: datetime) -> list[Cell]:
    spec, status = daemonset["spec"], daemonset.get("status") or {}
    template = spec["template"].get("spec") or {}
    return [
        cells.name(daemonset),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        cells.labels(template.get("nodeSelector")),
        cells.created(daemonset, now),
        *cells.containers(template),
        cells.selector(spec.get("selector")),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Up-to-date", "integer"),
        Column("Available", "integer"),
        Column("Node Selector"),
        AGE,
        Column("Containers", wide=True),
        Column("Images", wide=True),
        Column("Selector", wide=True),
    ),
    _cells,
)

KIND = Kind(DAEMONSETS, DaemonSetStrategy(), _PRINTER)

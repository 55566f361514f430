"""What workloads share: replicas, a selector, a pod template that it must select.

Upstream: pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

import re

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod.annotations import validate_annotations as validate_pod_annotations
from wellhead.api.kinds.pod.rules import validate_pod_spec
from wellhead.api.kinds.pod.spec import default_pod_spec
from wellhead.api.meta import AnyObj, Obj
from wellhead.api.metadata import validate_annotations, validate_label_selector, validate_labels
from wellhead.api.selectors import LabelSelector
from wellhead.api.strategy import Strategy
from wellhead.api.warnings import pods

_PERCENT = re.compile("[0-9]{1,9}%", re.ASCII)
_NOT_NEGATIVE = "must be greater than or equal to 0"


class TemplateStrategy(Strategy):
    """Warns of a pod template, unless an update leaves the spec alone."""

    def warnings(self, obj: Obj) -> list[str]:
        return [*pods.of_name(obj), *pods.of_template("spec.template", obj["spec"].get("template"))]

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        if not old:
            return self.warnings(new)
        changed = new["spec"] != old["spec"]
        return pods.of_template("spec.template", new["spec"].get("template")) if changed else []


def selector_of(workload: AnyObj) -> LabelSelector:
    """spec.selector, which of a ReplicationController is a plain map of labels."""
    selector = workload["spec"].get("selector")
    if workload["kind"] == "ReplicationController":
        return LabelSelector.from_object({"matchLabels": selector} if selector else None)
    return LabelSelector.from_object(selector)


def default_workload(spec: Obj) -> None:
    """In place."""
    spec.setdefault("replicas", 1)
    default_template(spec)


def default_template(spec: Obj) -> None:
    """In place."""
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    spec["template"].setdefault("metadata", {})


def validate_not_negative(spec: Obj, *fields: str) -> list[Cause]:
    return [
        Cause.invalid(f"spec.{field}", spec[field], _NOT_NEGATIVE)
        for field in fields
        if spec.get(field, 0) < 0
    ]


def validate_workload(spec: Obj) -> list[Cause]:
    """What deployments and replica sets are checked for; upstream's words speak of deployments for either."""
    causes = validate_not_negative(spec, "replicas", "minReadySeconds")
    found = validate_selection(spec, "deployment")
    if spec.get("selector") is not None and validate_label_selector(spec["selector"], "spec.selector"):
        found.append(Cause.invalid("spec.selector", spec["selector"], "invalid label selector"))
    causes += found
    return causes + validate_template(spec["template"], "ReplicaSet")


def validate_selection(spec: Obj, kind: str) -> list[Cause]:
    """A selector that says something, and a template that it selects. `kind` is as messages name it."""
    selector, labels = spec.get("selector"), spec["template"]["metadata"].get("labels")
    if selector is None:  # which selects nothing
        return [*([] if kind == "daemonset" else [Cause.required("spec.selector")]), mismatch(labels)]
    causes = validate_label_selector(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(Cause.invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    if not causes and not LabelSelector.from_object(selector).matches(labels or {}):
        causes.append(mismatch(labels))
    return causes


def mismatch(labels: Obj | None) -> Cause:
    text = "`selector` does not match template `labels`"
    return Cause.invalid("spec.template.metadata.labels", labels, text)


def validate_template(template: Obj, kind: str) -> list[Cause]:
    """A template of pods that run for ever."""
    at, spec = "spec.template", template["spec"]
    causes = validate_labels(template["metadata"].get("labels"), f"{at}.labels")
    causes += validate_annotations(template["metadata"].get("annotations"), f"{at}.annotations")
    said = template["metadata"].get("annotations") or {}
    causes += validate_pod_annotations(said, spec, f"{at}.annotations")
    causes += validate_pod_spec(spec, f"{at}.spec")
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        causes.append(Cause.forbidden(f"{at}.spec.ephemeralContainers", text))
    if (policy := spec["restartPolicy"]) != "Always":
        causes.append(Cause.not_supported(f"{at}.spec.restartPolicy", policy, ("Always",)))
    if "activeDeadlineSeconds" in spec:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        causes.append(Cause.forbidden(f"{at}.spec.activeDeadlineSeconds", text))
    return causes


def validate_share(value: int | str, at: str) -> list[Cause]:
    """A count, or a percentage of what there is."""
    if isinstance(value, int):
        return [] if value >= 0 else [Cause.invalid(at, value, _NOT_NEGATIVE)]
    if not _PERCENT.fullmatch(value):
        text = (
            "a valid percent string must be a numeric string followed by an ending '%' "
            "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
        )
        return [Cause.invalid(at, value, text)]
    return []


def validate_share_of_all(value: int | str, at: str) -> list[Cause]:
    """The same, and no percentage above 100."""
    causes = validate_share(value, at)
    if not causes and isinstance(value, str) and int(value[:-1]) > 100:
        causes.append(Cause.invalid(at, value, "must not be greater than 100%"))
    return causes


def is_nothing(share: int | str) -> bool:
    """Whether a valid share is 0 or 0%."""
    return int(str(share).removesuffix("%")) == 0


def validate_status(status: Obj, *parts: str) -> list[Cause]:
    """Counts of pods: none is negative, and none of the `parts` more than all."""
    counts = ("observedGeneration", "replicas", *parts, "terminatingReplicas", "unavailableReplicas")
    causes = validate_counts(status, *counts, "collisionCount")
    causes += [
        Cause.invalid(f"status.{field}", status.get(field, 0), "cannot be greater than status.replicas")
        for field in parts
        if status.get(field, 0) > status.get("replicas", 0)
    ]
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        text = "cannot be greater than readyReplicas"
        causes.append(Cause.invalid("status.availableReplicas", available, text))
    return causes


def validate_collisions(new: Obj, old: Obj) -> list[Cause]:
    """status.collisionCount makes names of revisions: it only grows."""
    count = new["status"].get("collisionCount", 0)
    if count >= (old.get("status") or {}).get("collisionCount", 0):
        return []
    return [Cause.invalid("status.collisionCount", count, "cannot be decremented")]


def validate_counts(status: Obj, *fields: str) -> list[Cause]:
    """Of what is counted, none is negative."""
    return [
        Cause.invalid(f"status.{field}", status[field], _NOT_NEGATIVE)
        for field in fields
        if status.get(field, 0) < 0
    ]


def validate_fixed_selector(new: Obj, old: Obj) -> list[Cause]:
    """The selector says which pods are whose: it can't change."""
    selector = new["spec"].get("selector")
    if selector == old["spec"].get("selector"):
        return []
    return [Cause.invalid("spec.selector", selector, "field is immutable")]

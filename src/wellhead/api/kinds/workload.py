"""What deployments and replica sets share: replicas, a selector, a pod template that it must select.

Upstream: pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod.rules import validate_pod_spec
from wellhead.api.kinds.pod.spec import default_pod_spec
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_annotations, validate_label_selector, validate_labels
from wellhead.api.selectors import LabelSelector

_NOT_NEGATIVE = "must be greater than or equal to 0"


def default_workload(spec: Obj) -> None:
    """In place."""
    spec.setdefault("replicas", 1)
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    spec["template"].setdefault("metadata", {})


def validate_not_negative(spec: Obj, *fields: str) -> list[Cause]:
    return [
        Cause.invalid(f"spec.{field}", spec[field], _NOT_NEGATIVE)
        for field in fields
        if spec.get(field, 0) < 0
    ]


def validate_workload(spec: Obj) -> list[Cause]:
    """What both are checked for; upstream's words speak of deployments for either."""
    causes = validate_not_negative(spec, "replicas", "minReadySeconds")
    selector = spec.get("selector")
    template = spec["template"]
    labels = template["metadata"].get("labels") or {}
    if selector is None:
        causes.append(Cause.required("spec.selector"))
    else:
        problems = validate_label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            problems.append(
                Cause.invalid("spec.selector", selector, "empty selector is invalid for deployment")
            )
        causes += problems
        if not problems and not LabelSelector.from_object(selector).matches(labels):
            causes.append(
                Cause.invalid(
                    "spec.template.metadata.labels", labels, "`selector` does not match template `labels`"
                )
            )
    causes += validate_labels(labels, "spec.template.labels")
    annotations = template["metadata"].get("annotations")
    causes += validate_annotations(annotations, "spec.template.annotations")
    causes += validate_pod_spec(template["spec"], "spec.template.spec")
    if template["spec"].get("ephemeralContainers"):
        causes.append(
            Cause.forbidden(
                "spec.template.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"
            )
        )
    if (policy := template["spec"]["restartPolicy"]) != "Always":
        causes.append(Cause.not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if "activeDeadlineSeconds" in template["spec"]:
        causes.append(
            Cause.forbidden(
                "spec.template.spec.activeDeadlineSeconds",
                "activeDeadlineSeconds in ReplicaSet is not Supported",
            )
        )
    return causes


def validate_status(status: Obj, *parts: str) -> list[Cause]:
    """Counts of pods: none is negative, and none of the `parts` more than all."""
    counts = ("observedGeneration", "replicas", *parts, "terminatingReplicas", "unavailableReplicas")
    causes = [
        Cause.invalid(f"status.{field}", status[field], _NOT_NEGATIVE)
        for field in (*counts, "collisionCount")
        if status.get(field, 0) < 0
    ]
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


def validate_fixed_selector(new: Obj, old: Obj) -> list[Cause]:
    """The selector says which pods are whose: it can't change."""
    selector = new["spec"].get("selector")
    if selector == old["spec"].get("selector"):
        return []
    return [Cause.invalid("spec.selector", selector, "field is immutable")]

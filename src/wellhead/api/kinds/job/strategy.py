"""Jobs: defaults, the selector that the server makes up, and what may change later.

Upstream: pkg/apis/batch/v1/defaults.go, pkg/registry/batch/job/strategy.go.
"""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.kinds.job.rules import validate_job_spec
from wellhead.api.kinds.job.status import validate_status_update
from wellhead.api.kinds.pod.spec import default_pod_spec
from wellhead.api.meta import Obj, is_condition_true
from wellhead.api.metadata import validate_label_selector
from wellhead.api.selectors import LabelSelector
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings import pods

UID_LABEL = "batch.kubernetes.io/controller-uid"
NAME_LABEL = "batch.kubernetes.io/job-name"
_OLD_UID_LABEL = "controller-uid"
_OLD_NAME_LABEL = "job-name"
_MAX_INT32 = 2**31 - 1
_IMMUTABLE = "field is immutable"
_FIXED = (
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)


def default_job_spec(spec: Obj) -> None:
    """In place."""
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", _MAX_INT32 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)
    default_job_template(spec)


def default_job_template(spec: Obj) -> None:
    """What of the defaults a CronJob's template has, too; in place."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


class JobStrategy(Strategy):
    counts_generations = True
    default_propagation = "Orphan"

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        default_job_spec(spec)
        labels = spec["template"]["metadata"].get("labels")
        if labels and not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = labels  # the same, as in Go: what is added to the one is in both

    def warnings(self, obj: Obj) -> list[str]:
        return [*pods.of_name(obj), *pods.of_job("spec", obj["spec"])]

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        if not old:
            return self.warnings(new)
        return [] if new["spec"] == old["spec"] else pods.of_job("spec", new["spec"])

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {}
        if not obj["spec"]["manualSelector"]:
            _generate_selector(obj)
            labels = obj["spec"]["template"]["metadata"]["labels"]
            obj["metadata"]["labels"] = dict(obj["metadata"].get("labels") or labels)

    def validate_create(self, obj: Obj) -> list[Cause]:
        return _validate(obj, prefixed=True)

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        before = old["spec"]["template"].get("metadata", {}).get("labels") or {}
        causes = _validate(new, prefixed=NAME_LABEL in before and UID_LABEL in before)
        spec, was = new["spec"], old["spec"]
        causes += _validate_completions(spec, was)
        if spec.get("selector") != was.get("selector"):
            causes.append(Cause.invalid("spec.selector", spec.get("selector"), _IMMUTABLE))
        causes += _validate_template_change(new, old)
        causes += [
            Cause.invalid(f"spec.{field}", spec.get(field), _IMMUTABLE)
            for field in _FIXED
            if spec.get(field) != was.get(field)
        ]
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status_update(new, old)


def _generate_selector(job: Obj) -> None:
    metadata, spec = job["metadata"], job["spec"]
    uid, name = metadata["uid"], metadata.get("name", "")
    labels = spec["template"]["metadata"].get("labels") or {}
    for label, value in (
        (_OLD_NAME_LABEL, name),
        (NAME_LABEL, name),
        (_OLD_UID_LABEL, uid),
        (UID_LABEL, uid),
    ):
        labels.setdefault(label, value)
    # Upstream's are the template's own map, where the Job came without any.
    if metadata.get("labels") in (None, {}, spec["template"]["metadata"].get("labels")):
        metadata["labels"] = dict(labels)
    spec["template"]["metadata"]["labels"] = labels
    selector = dict(spec.get("selector") or {})
    selector["matchLabels"] = {UID_LABEL: uid, **(selector.get("matchLabels") or {})}
    spec["selector"] = selector


def _validate(job: Obj, *, prefixed: bool) -> list[Cause]:
    metadata, spec = job["metadata"], job["spec"]
    causes = [] if spec["manualSelector"] else _validate_generated(job, prefixed)
    causes += validate_job_spec(spec, "spec")
    selector, labels = spec.get("selector"), spec["template"]["metadata"].get("labels") or {}
    problems: list[Cause] = []
    if selector is None:
        causes.append(Cause.required("spec.selector"))
    else:
        problems = validate_label_selector(selector, "spec.selector")
    causes += problems
    if not problems and (selector is None or not LabelSelector.from_object(selector).matches(labels)):
        text = "`selector` does not match template `labels`"
        causes.append(Cause.invalid("spec.template.metadata.labels", labels, text))
    if spec["completionMode"] == "Indexed" and spec.get("completions", 0) > 0:
        host = f"{metadata.get('name', '')}-{spec['completions'] - 1}"
        if dns_label(host):
            text = f"will not able to create pod with invalid DNS label: {host}"
            causes.append(Cause.invalid("metadata.name", metadata.get("name", ""), text))
    return causes


def _validate_generated(job: Obj, prefixed: bool) -> list[Cause]:
    """Labels that a user set may stand in the way of the generated ones."""
    metadata, spec = job["metadata"], job["spec"]
    if spec.get("selector") is None:
        return []
    wanted = {_OLD_UID_LABEL: metadata["uid"], _OLD_NAME_LABEL: metadata.get("name", "")}
    if prefixed:
        wanted |= {UID_LABEL: metadata["uid"], NAME_LABEL: metadata.get("name", "")}
    labels = spec["template"]["metadata"].get("labels") or {}
    causes = []
    for label, value in wanted.items():
        here = f"spec.template.metadata.labels[{label}]"
        if label not in labels:
            causes.append(Cause.required(here, f"must be '{value}'"))
        elif labels[label] != value:
            causes.append(Cause.invalid(here, labels, f"must be '{value}'"))
    selector = spec["selector"]
    readable = not validate_label_selector(selector, "spec.selector")
    if readable and not LabelSelector.from_object(selector).matches(wanted):
        causes.append(Cause.invalid("spec.selector", selector, "`selector` not auto-generated"))
    return causes


def _validate_completions(spec: Obj, was: Obj) -> list[Cause]:
    """An Indexed job may be made larger or smaller, in tandem with its parallelism (KEP-3715)."""
    completions = spec.get("completions")
    if completions == was.get("completions"):
        return []
    if spec["completionMode"] != "Indexed":
        return [Cause.invalid("spec.completions", completions, _IMMUTABLE)]
    if completions is None or completions == spec["parallelism"]:
        return []
    text = "can only be modified in tandem with spec.parallelism"
    return [Cause.invalid("spec.completions", completions, text)]


def _validate_template_change(new: Obj, old: Obj) -> list[Cause]:
    """While a job is suspended and none of its pods is left, where and how large they are may change."""
    template, before = new["spec"]["template"], old["spec"]["template"]
    status = old.get("status") or {}
    suspended = bool(old["spec"].get("suspend"))
    at_rest = not status.get("startTime") or is_condition_true(old, "Suspended")
    if not (suspended and at_rest and not status.get("active")):
        if template == before:
            return []
        return [Cause.invalid("spec.template", template, _IMMUTABLE)]
    if _fixed_part(template["spec"]) == _fixed_part(before["spec"]):
        return []
    return [Cause.invalid("spec.template.spec", template["spec"], _IMMUTABLE)]


def _fixed_part(spec: Obj) -> Obj:
    kept = {
        name: value
        for name, value in spec.items()
        if name not in ("affinity", "nodeSelector", "tolerations", "schedulingGates")
    }
    affinity = {name: each for name, each in (spec.get("affinity") or {}).items() if name != "nodeAffinity"}
    for field in ("containers", "initContainers"):
        kept[field] = [
            {name: value for name, value in container.items() if name != "resources"}
            for container in spec.get(field) or ()
        ]
    return {**kept, "affinity": affinity}

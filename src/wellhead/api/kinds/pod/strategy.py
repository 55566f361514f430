"""Pods: defaults, what the server decides of a new one, and what may change later.

Upstream: pkg/registry/core/pod/strategy.go, ValidatePodUpdate in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod import parts
from wellhead.api.kinds.pod.qos import qos_class as qos_class
from wellhead.api.kinds.pod.references import MIRROR_ANNOTATION
from wellhead.api.kinds.pod.rules import validate_pod_spec
from wellhead.api.kinds.pod.spec import default_pod_spec, default_requests
from wellhead.api.kinds.pod.status import agree_on_pod_ips, validate_status
from wellhead.api.kinds.pod.whole import default_whole
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy

_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_MIRROR = f"metadata.annotations[{MIRROR_ANNOTATION}]"
_NO_NODE_YET = "cannot be set until all schedulingGates have been cleared"
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


class PodStrategy(Strategy):
    counts_generations = True
    returned_when_deleted = True
    parts = frozenset({parts.EPHEMERAL, parts.RESIZE})

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        default_pod_spec(spec)
        default_requests(spec)
        default_whole(spec)
        spec.setdefault("enableServiceLinks", True)
        obj.setdefault("status", {})

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        if obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = [
                {**_GATED, "lastProbeTime": None, "lastTransitionTime": context.now}
            ]

    def validate(self, obj: Obj) -> list[Cause]:
        return validate_pod_spec(obj["spec"], "spec")

    def validate_create(self, obj: Obj) -> list[Cause]:
        causes = self.validate(obj)
        if obj["spec"].get("ephemeralContainers"):
            causes.append(Cause.forbidden("spec.ephemeralContainers", "cannot be set on create"))
        if obj["spec"].get("schedulingGates") and obj["spec"].get("nodeName"):
            causes.append(Cause.forbidden("spec.nodeName", _NO_NODE_YET))
        annotations = obj["metadata"].get("annotations") or {}
        if MIRROR_ANNOTATION in annotations and not obj["spec"].get("nodeName"):
            text = "must set spec.nodeName if mirror pod annotation is set"
            causes.append(Cause.invalid(_MIRROR, annotations[MIRROR_ANNOTATION], text))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        spec, before = new["spec"], old["spec"]
        for field in ("containers", "initContainers"):
            if len(spec.get(field) or ()) != len(before.get(field) or ()):
                return [Cause.forbidden(f"spec.{field}", "pod updates may not add or remove containers")]
        causes = self.validate(new)
        mirrors = [(each["metadata"].get("annotations") or {}).get(MIRROR_ANNOTATION) for each in (new, old)]
        if mirrors[0] != mirrors[1]:
            verb = "add" if mirrors[1] is None else "remove or update"
            causes.append(Cause.forbidden(_MIRROR, f"may not {verb} mirror pod annotation"))
        causes += _validate_deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
        kept = set(map(_identity, spec.get("tolerations") or ()))
        if any(_identity(each) not in kept for each in before.get("tolerations") or ()):
            causes.append(
                Cause.forbidden(
                    "spec.tolerations",
                    "existing toleration can not be modified except its tolerationSeconds",
                )
            )
        causes += _validate_gates(spec.get("schedulingGates") or (), before.get("schedulingGates") or ())
        if not causes and _fixed_part(spec) != _fixed_part(before):
            causes.append(Cause.forbidden("spec", _FIXED))
        return causes

    def combine_part(self, subresource: str, new: Obj, old: Obj) -> Obj:
        return {**old, "spec": parts.combine(subresource, new, old)}

    def validate_part(self, subresource: str, new: Obj, old: Obj) -> list[Cause]:
        return [*self.validate(new), *parts.validate(subresource, new, old)]

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        status = new["status"]
        # The class is fixed at creation; an agent that doesn't repeat it doesn't unset it.
        if "qosClass" in (old.get("status") or {}):
            status["qosClass"] = old["status"]["qosClass"]
        agree_on_pod_ips(status)

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status(new["status"])


def _fixed_part(spec: Obj) -> Obj:
    changing = ("activeDeadlineSeconds", "schedulingGates", "terminationGracePeriodSeconds", "tolerations")
    kept: dict[str, Any] = {
        name: value for name, value in spec.items() if name not in changing and value != []
    }
    for field in ("containers", "initContainers"):
        if spec.get(field):
            kept[field] = [{**container, "image": ""} for container in spec[field]]
    # Upstream lets it change only from a negative number, which ours never stores.
    kept["terminationGracePeriodSeconds"] = spec.get("terminationGracePeriodSeconds")
    return kept


def _validate_gates(new: Sequence[Obj], old: Sequence[Obj]) -> list[Cause]:
    """Gates may only be removed (KEP-3521)."""
    known = set(map(_identity, old))
    return [
        Cause.forbidden(
            "spec.schedulingGates",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'",
        )
        for gate in new
        if _identity(gate) not in known
    ]


def _identity(value: Obj) -> bytes:
    """The same for equal objects, and fit for a set."""
    return msgspec.json.encode(value, order="sorted")


def _validate_deadline(new: int | None, old: int | None) -> list[Cause]:
    at = "spec.activeDeadlineSeconds"
    if old is None or new == old:
        return []
    if new is None:
        return [Cause.invalid(at, None, "must not update from a positive integer to nil value")]
    if new > old:
        return [Cause.invalid(at, new, f"must be less than or equal to previous value {old}")]
    return []

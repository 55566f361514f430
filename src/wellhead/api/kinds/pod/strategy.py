"""Pods: defaults, what the server decides of a new one, and what may change later.

Upstream: pkg/registry/core/pod/strategy.go, ValidatePodUpdate in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod import parts, updates
from wellhead.api.kinds.pod.annotations import apply_app_armor, validate_agreement, validate_annotations
from wellhead.api.kinds.pod.qos import qos_class as qos_class
from wellhead.api.kinds.pod.references import MIRROR_ANNOTATION
from wellhead.api.kinds.pod.rules import validate_pod_spec
from wellhead.api.kinds.pod.spec import default_host_ports, default_pod_spec, default_requests
from wellhead.api.kinds.pod.status import agree_on_pod_ips, keep_unsaid, validate_status
from wellhead.api.kinds.pod.volumes import validate_claims_of_volumes
from wellhead.api.kinds.pod.whole import default_whole
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings.pods import of_pod

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
    status_metadata = Strategy.status_metadata - {"ownerReferences"}  # which old agents damaged
    parts = frozenset({parts.EPHEMERAL, parts.RESIZE})

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        default_pod_spec(spec)
        if spec["terminationGracePeriodSeconds"] < 0:  # of a pod, not of a template
            spec["terminationGracePeriodSeconds"] = 1
        default_requests(spec)
        default_host_ports(spec)
        default_whole(spec)
        spec.setdefault("enableServiceLinks", True)
        obj.setdefault("status", {})

    def warnings(self, obj: Obj) -> list[str]:
        return of_pod(obj)

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        return [] if old else self.warnings(new)  # people rarely change pods themselves

    def prepare_create(self, obj: Obj, context: Context) -> None:
        apply_app_armor(obj)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        if obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = [
                {**_GATED, "lastProbeTime": None, "lastTransitionTime": context.now}
            ]

    def validate(self, obj: Obj) -> list[Cause]:
        said, spec = obj["metadata"].get("annotations") or {}, obj["spec"]
        return [
            *validate_annotations(said, spec, "metadata.annotations"),
            *validate_pod_spec(spec, "spec"),
            *validate_claims_of_volumes(obj),
        ]

    def validate_create(self, obj: Obj) -> list[Cause]:
        causes = [*self.validate(obj), *validate_agreement(obj)]
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
        return [
            *self.validate(new),
            *updates.validate_annotations(new, old),
            *updates.validate_spec(new["spec"], old["spec"]),
        ]

    def combine_part(self, subresource: str, new: Obj, old: Obj) -> Obj:
        return {**old, "spec": parts.combine(subresource, new, old)}

    def validate_part(self, subresource: str, new: Obj, old: Obj) -> list[Cause]:
        causes = [*self.validate(new), *parts.validate(subresource, new, old)]
        if subresource == parts.EPHEMERAL:
            causes += updates.validate_annotations(new, old)
        return causes

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        status = new["status"]
        keep_unsaid(status, old.get("status") or {})
        agree_on_pod_ips(status)

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [
            *updates.validate_annotations(new, old),
            *validate_status(new["status"], old.get("status") or {}, old["spec"]),
        ]

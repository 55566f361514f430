"""On which nodes a DaemonSet's pods belong, and what its pods say to get there and to stay.

Source: upstream's pkg/controller/daemon (NodeShouldRunDaemonPod) and its util.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wellhead.api.kinds.daemonset import TEMPLATE_GENERATION
from wellhead.api.meta import Obj, labels
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.placement import required_nodes, untolerated
from wellhead.api.types.pod import Pod
from wellhead.controllers.pod_control import pod_from_template
from wellhead.controllers.pods import is_terminal
from wellhead.controllers.revisions import POD_LABEL

GENERATION_LABEL = "pod-template-generation"

_NAME_FIELD = "metadata.name"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
_TOLERATED_ON_HOST_NETWORK = ("network-unavailable", "NoSchedule")

PodsByNode = Mapping[str, Sequence[Pod]]


class Placement:
    """Tells for each node whether a DaemonSet's pod is to be there."""

    def __init__(self, daemonset: Obj) -> None:
        self._spec = with_tolerations(daemonset["spec"]["template"]["spec"])
        self._terms = required_nodes(self._spec)

    def should_run(self, node: Obj) -> bool:
        """Whether the node is to have a pod."""
        return self._fits(node) and not self._untolerated(node, "NoSchedule", "NoExecute")

    def may_stay(self, node: Obj) -> bool:
        """Whether a pod that is there may stay: as above, but a taint NoSchedule drives nobody out."""
        return self._fits(node) and not self._untolerated(node, "NoExecute")

    def _fits(self, node: Obj) -> bool:
        name, found = node["metadata"]["name"], labels(node)
        if self._spec.get("nodeName") not in (None, "", name):
            return False
        if not (self._spec.get("nodeSelector") or {}).items() <= found.items():
            return False
        return self._terms is None or any(term.matches(name, found) for term in self._terms)

    def _untolerated(self, node: Obj, *effects: str) -> bool:
        taints = (node.get("spec") or {}).get("taints") or []
        return bool(untolerated(taints, self._spec["tolerations"], effects))


def looks(node: Obj) -> tuple[object, object]:
    """All of a node that placement depends on, its name aside."""
    return labels(node), (node.get("spec") or {}).get("taints")


def with_tolerations(spec: Obj) -> Obj:
    """A pod's spec that also tolerates what befalls its node."""
    added = [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
        for name, effect in (*_TOLERATED, *([_TOLERATED_ON_HOST_NETWORK] if spec.get("hostNetwork") else []))
    ]
    kept = [each for each in spec.get("tolerations") or [] if not any(_same(each, one) for one in added)]
    return {**spec, "tolerations": [*kept, *added]}


def _same(one: Obj, other: Obj) -> bool:
    """Whether they differ in nothing but how long they hold (corev1.Toleration.MatchToleration)."""
    names = ("key", "operator", "effect", "value")
    return all((one.get(name) or "") == (other.get(name) or "") for name in names)


def new_pod(daemonset: Obj, node: str, digest: str) -> Pod:
    """The DaemonSet's pod for the node, of the revision with this hash."""
    template = daemonset["spec"]["template"]
    metadata = template.get("metadata") or {}
    found = {**(metadata.get("labels") or {}), POD_LABEL: digest}
    if generation := annotations_of(daemonset).get(TEMPLATE_GENERATION):
        found[GENERATION_LABEL] = generation
    spec = with_tolerations(template["spec"])
    spec["affinity"] = _bound_to(node, spec.get("affinity") or {})
    return pod_from_template(daemonset, {"metadata": {**metadata, "labels": found}, "spec": spec})


def _bound_to(node: str, affinity: Obj) -> Obj:
    """The affinity, required to the one node: that it fits was decided."""
    fields = [{"key": _NAME_FIELD, "operator": "In", "values": [node]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), _REQUIRED: required}}


def node_of(pod: Pod) -> str:
    """The node that the pod is on or meant for; '' if it doesn't say."""
    spec: Any = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    for term in required_nodes(spec) or ():
        for field in term.fields:
            if field.key == _NAME_FIELD and field.operator == "In":
                return next(iter(field.values)) if len(field.values) == 1 else ""
    return ""


def by_node(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """The pods of each node, the oldest first; without those that have ended and are on their way out."""
    found: dict[str, list[Pod]] = {}
    for pod in sorted(pods, key=_age):
        node = node_of(pod)
        if node and not (is_terminal(pod) and pod["metadata"].get("deletionTimestamp")):
            found.setdefault(node, []).append(pod)
    return found


def is_updated(pod: Pod, daemonset: Obj, digest: str) -> bool:
    """Whether the pod is of the template as it is now."""
    generation = annotations_of(daemonset).get(TEMPLATE_GENERATION)
    found = labels(pod)
    return found.get(POD_LABEL) == digest or (
        generation is not None and found.get(GENERATION_LABEL) == generation
    )


def _age(pod: Pod) -> tuple[bool, str, str]:
    """Pods with a node before those without, then by age."""
    metadata = pod["metadata"]
    return (
        not pod["spec"].get("nodeName"),
        metadata.get("creationTimestamp") or "",
        metadata.get("name") or "",
    )

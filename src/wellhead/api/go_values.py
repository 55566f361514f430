"""What a JSON document can't say of Go's types, which upstream's objects pass through: which fields are held
by value. Such a field is there in every object; whether a zero is written is what its tag says.

`pointers.txt` names the other scalars, definition by definition: those of whose zeros it is known whether
they were sent. (It has the same sources as the table of Protobuf messages, and a test compares them.)
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

# Structs that the schema doesn't call required. Required ones are held by value anyway, and spec, status and
# metadata of every kind. Source: `"default": {}` in Kubernetes 1.36's OpenAPI v3 documents; the data that we
# ship has no defaults.
_STRUCTS = {
    "apps.v1.DaemonSetSpec": ("updateStrategy",),
    "apps.v1.DeploymentSpec": ("strategy",),
    "apps.v1.StatefulSetSpec": ("updateStrategy",),
    "batch.v1.JobTemplateSpec": ("spec",),
    "core.v1.Container": ("resources",),
    "discovery.v1.Endpoint": ("conditions",),
    "core.v1.ContainerStatus": ("lastState", "state"),
    "core.v1.EphemeralContainer": ("resources",),
    "core.v1.Event": ("source",),
    "core.v1.NodeDaemonEndpoints": ("kubeletEndpoint",),
    "core.v1.NodeStatus": ("daemonEndpoints", "nodeInfo"),
    "core.v1.PersistentVolumeClaimSpec": ("resources",),
    "core.v1.PodTemplate": ("template",),
    "core.v1.PodTemplateSpec": ("spec",),
    "core.v1.ServiceStatus": ("loadBalancer",),
    "events.v1.Event": ("deprecatedSource", "regarding"),
    "networking.v1.IngressServiceBackend": ("port",),
    "networking.v1.IngressStatus": ("loadBalancer",),
    "networking.v1.NetworkPolicySpec": ("podSelector",),
    "resource.v1.AllocationResult": ("devices",),
    "resource.v1.ResourceClaimSpec": ("devices",),
    "resource.v1.ResourceClaimTemplateSpec": ("spec",),
}
POINTERS = frozenset({"parentRef", "secretRef", "selector"})
"""The structs that the schema requires and Go holds by pointer all the same."""

KEPT = {
    "apps.v1.ControllerRevision": ("revision",),
    "apps.v1.DaemonSetCondition": ("status", "type"),
    "apps.v1.DeploymentCondition": ("status", "type"),
    "apps.v1.ReplicaSetCondition": ("status", "type"),
    "apps.v1.StatefulSetCondition": ("status", "type"),
    "apps.v1.StatefulSetOrdinals": ("start",),
    "autoscaling.v2.HPAScalingRules": ("policies",),
    "apps.v1.StatefulSetSpec": ("serviceName",),
    "apps.v1.StatefulSetStatus": ("availableReplicas",),
    "core.v1.Event": ("reportingComponent", "reportingInstance"),
    "core.v1.NodeRuntimeHandler": ("name",),
    "flowcontrol.v1.FlowSchemaSpec": ("matchingPrecedence",),
    "flowcontrol.v1.QueuingConfiguration": ("handSize", "queueLengthLimit", "queues"),
    "policy.v1.PodDisruptionBudgetStatus": (
        "currentHealthy",
        "desiredHealthy",
        "disruptionsAllowed",
        "expectedPods",
    ),
    "rbac.v1.RoleRef": ("apiGroup",),
    "scheduling.v1.PriorityClass": ("value",),
}
"""Scalars whose zeros are written though the schema doesn't require them: their tags lack `omitempty`. Also a
list of which it matters that it is empty, and not just absent."""

NULL_LISTS = {"autoscaling.v2.HorizontalPodAutoscalerStatus": ("currentMetrics",)}
"""Lists that are null where nothing was sent, as a list is whose tag lacks `omitempty`."""

OMITTED = {
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": ("policyName",),
    "authentication.v1.TokenReviewSpec": ("token",),
    "core.v1.ContainerRestartRule": ("action",),
    "core.v1.ContainerRestartRuleOnExitCodes": ("operator",),
    "core.v1.ImageVolumeStatus": ("imageRef",),
    "core.v1.PodCertificateProjection": ("keyType", "signerName"),
    "flowcontrol.v1.FlowSchemaCondition": ("type",),
    "flowcontrol.v1.PriorityLevelConfigurationCondition": ("type",),
    "networking.v1.ParentReference": ("name", "resource"),
}
"""The other way round."""

_TIMES = {
    "core.v1.ContainerStateRunning": ("startedAt",),
    "core.v1.ContainerStateTerminated": ("finishedAt", "startedAt"),
    "core.v1.Event": ("eventTime", "firstTimestamp", "lastTimestamp"),
    "core.v1.EventSeries": ("lastObservedTime",),
    "events.v1.Event": ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime"),
    "events.v1.EventSeries": ("lastObservedTime",),
    "storage.v1.VolumeError": ("time",),
}


@cache
def pointers() -> dict[str, frozenset[str]]:
    """The scalars that Go holds by pointer, by the definition that has them."""
    lines = files(__package__).joinpath("pointers.txt").read_text().splitlines()
    return {name: frozenset(fields) for name, *fields in map(str.split, lines)}


def is_time_by_value(definition: str, field: str) -> bool:
    """Whether a moment is null where it isn't known: those of all conditions are."""
    return definition.endswith("Condition") or field in _TIMES.get(short_name(definition), ())


def is_struct_by_value(definition: str, field: str, *, required: bool) -> bool:
    """Whether a struct is there where nobody sent it; spec, status and metadata of a kind are besides."""
    by_pointer = not required or field in POINTERS
    return not by_pointer or field in _STRUCTS.get(short_name(definition), ())


def short_name(definition: str) -> str:
    """`io.k8s.api.core.v1.Pod` → `core.v1.Pod`."""
    return definition.removeprefix("io.k8s.api.")

"""What counts about a pod when a node is chosen, parsed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from wellhead.api.meta import Key, Obj, condition, controller_of, is_deleting, key, labels
from wellhead.api.placement import NodeTerm, node_terms, required_nodes
from wellhead.api.quantity import Quantity
from wellhead.api.quota.pods import pod_amounts
from wellhead.scheduler.terms import PodTerm, SpreadConstraint, pod_terms

DEFAULT_SCHEDULER = "default-scheduler"

Amounts = Mapping[str, int]
"""Resource name → amount: millicores for cpu, bytes for memory and storage, else a count."""

HostPort = tuple[str, str, int]
"""(host IP, protocol, port); the empty IP stands for all."""

_SCORED_CPU, _SCORED_MEMORY = 100, 200 * 1024 * 1024
"""What a pod that asks for nothing counts as when nodes are compared (upstream's non-zero requests)."""


def amounts(quantities: Mapping[str, str] | None) -> dict[str, int]:
    """A ResourceList in whole units, rounded up."""
    return _whole({name: Quantity.parse(text) for name, text in (quantities or {}).items()})


def _whole(found: Mapping[str, Quantity]) -> dict[str, int]:
    return {name: amount.milli_value if name == "cpu" else amount.value for name, amount in found.items()}


def added(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


def is_resized(pod: Obj) -> bool:
    """Whether a running pod has other resources than it asks for: then its status counts, too."""
    return any(condition(pod, kind) for kind in ("PodResizePending", "PodResizeInProgress"))


@dataclass(frozen=True)
class PodInfo:
    """A pod as the scheduler sees it. `requests` includes one of `pods`."""

    obj: Obj

    @property
    def key(self) -> Key:
        return key(self.obj)

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"]["namespace"])

    @property
    def labels(self) -> dict[str, str]:
        return labels(self.obj)

    @property
    def node_name(self) -> str:
        return self.obj["spec"].get("nodeName") or ""

    @property
    def nominated_node(self) -> str:
        """Where others were pushed away for it."""
        return (self.obj.get("status") or {}).get("nominatedNodeName") or ""

    @property
    def started_at(self) -> str:
        """When it began to run (RFC 3339); one that hasn't begins later than all."""
        return (self.obj.get("status") or {}).get("startTime") or "9999"

    @property
    def leaving(self) -> bool:
        return is_deleting(self.obj)

    @property
    def priority(self) -> int:
        return int(self.obj["spec"].get("priority") or 0)

    @property
    def gated(self) -> bool:
        return bool(self.obj["spec"].get("schedulingGates"))

    @property
    def tolerations(self) -> list[Obj]:
        return self.obj["spec"].get("tolerations") or []

    @cached_property
    def owner(self) -> str | None:
        """The uid of its controller."""
        reference = controller_of(self.obj)
        return reference["uid"] if reference else None

    @cached_property
    def requests(self) -> dict[str, int]:
        spec = self.obj["spec"]
        if is_resized(self.obj):
            return {**_whole(pod_amounts(self.obj, "requests")), "pods": 1}
        whole = amounts((spec.get("resources") or {}).get("requests"))
        total = {**_containers_request(spec), **whole}
        return {**added(total, amounts(spec.get("overhead"))), "pods": 1}

    @cached_property
    def scored_requests(self) -> tuple[int, int]:
        """(millicores, bytes of memory) for comparing nodes."""
        return self.requests.get("cpu") or _SCORED_CPU, self.requests.get("memory") or _SCORED_MEMORY

    @cached_property
    def features(self) -> frozenset[str]:
        """What its node must have declared to be able to (KEP-5328)."""
        spec = self.obj["spec"]
        containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
        actions = {rule.get("action") for each in containers for rule in each.get("restartPolicyRules") or []}
        found = set()
        if "RestartAllContainers" in actions:
            found.add("RestartAllContainersOnContainerExits")
        if spec.get("hostNetwork") and spec.get("hostUsers") is False:
            found.add("UserNamespacesHostNetworkSupport")
        return frozenset(found)

    @cached_property
    def host_ports(self) -> frozenset[HostPort]:
        spec = self.obj["spec"]
        on_host = bool(spec.get("hostNetwork"))
        return frozenset(
            (port.get("hostIP") or "", port.get("protocol") or "TCP", number)
            for container in [*(spec.get("containers") or []), *_sidecars(spec)]
            for port in container.get("ports") or []
            if (number := port.get("hostPort") or (port["containerPort"] if on_host else 0))
        )

    @cached_property
    def required_nodes(self) -> tuple[NodeTerm, ...] | None:
        """Terms of which one must match; None if there is no condition."""
        return required_nodes(self.obj["spec"])

    @cached_property
    def preferred_nodes(self) -> tuple[tuple[int, NodeTerm], ...]:
        entries = self._affinity("nodeAffinity").get("preferredDuringSchedulingIgnoredDuringExecution") or []
        return tuple((entry["weight"], node_terms([entry["preference"]])[0]) for entry in entries)

    @cached_property
    def required_affinity(self) -> tuple[PodTerm, ...]:
        return self._required("podAffinity")

    @cached_property
    def required_anti_affinity(self) -> tuple[PodTerm, ...]:
        return self._required("podAntiAffinity")

    @cached_property
    def preferred_affinity(self) -> tuple[tuple[int, PodTerm], ...]:
        """(weight, term); a negative weight for a pod to keep away from."""
        return (*self._preferred("podAffinity", 1), *self._preferred("podAntiAffinity", -1))

    @cached_property
    def spread_constraints(self) -> tuple[SpreadConstraint, ...]:
        entries = self.obj["spec"].get("topologySpreadConstraints") or []
        return tuple(SpreadConstraint.of(entry, self.namespace, self.labels) for entry in entries)

    def _affinity(self, kind: str) -> Obj:
        return (self.obj["spec"].get("affinity") or {}).get(kind) or {}

    def _required(self, kind: str) -> tuple[PodTerm, ...]:
        entries = self._affinity(kind).get("requiredDuringSchedulingIgnoredDuringExecution") or []
        return pod_terms(entries, self.namespace, self.labels)

    def _preferred(self, kind: str, sign: int) -> tuple[tuple[int, PodTerm], ...]:
        entries = self._affinity(kind).get("preferredDuringSchedulingIgnoredDuringExecution") or []
        terms = pod_terms([entry["podAffinityTerm"] for entry in entries], self.namespace, self.labels)
        return tuple((sign * entry["weight"], term) for entry, term in zip(entries, terms, strict=True))


def _sidecars(spec: Obj) -> list[Obj]:
    return [each for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"]


def _containers_request(spec: Obj) -> dict[str, int]:
    """What the pod needs at its peak: all that run together, or an init container beside earlier sidecars."""
    together = _sum(_request(each) for each in [*(spec.get("containers") or []), *_sidecars(spec)])
    peak, started = together, dict[str, int]()
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            started = added(started, _request(container))
        else:
            needed = added(started, _request(container))
            peak = {name: max(peak.get(name, 0), needed.get(name, 0)) for name in peak.keys() | needed.keys()}
    return peak


def _request(container: Obj) -> dict[str, int]:
    return amounts((container.get("resources") or {}).get("requests"))


def _sum(each: Iterable[Amounts]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in each:
        total = added(total, one)
    return total

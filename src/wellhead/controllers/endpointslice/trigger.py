"""When the oldest change happened that a Service's endpoints don't show yet.

Written as `endpoints.kubernetes.io/last-change-trigger-time`, it lets a proxy measure how long a change takes
to reach the kernel (kube-proxy's network programming latency). Source: upstream's TriggerTimeTracker.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.meta import Key, key
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.controllers.pods import ready_changed


class TriggerTimes:
    """Remembers, per Service, what its pods' and its own change times were at the last look."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[str, dict[str, str]]] = {}

    def next(self, service: Service, pods: Iterable[Pod]) -> str | None:
        """The earliest change since the last call for this Service; None if no time is new."""
        created = service["metadata"].get("creationTimestamp") or ""
        pod_times = {pod["metadata"]["uid"]: time for pod in pods if (time := ready_changed(pod))}
        before = self._seen.get(key(service))
        self._seen[key(service)] = (created, pod_times)
        if before is None:
            return max([created, *pod_times.values()]) or None
        service_before, pods_before = before
        new = [time for uid, time in pod_times.items() if time > pods_before.get(uid, "")]
        if created != service_before:
            new.append(created)
        return min(new, default=None)

    def forget(self, service: Key) -> None:
        self._seen.pop(service, None)

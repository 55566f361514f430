"""Which Services select a pod, and which pods a Service selects: by index, not by walking over all."""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.meta import Key, key, labels
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.client.informer import Handler
from wellhead.controllers.endpointslice.endpoint import relevant
from wellhead.controllers.store import Store


def services_of(pod: Pod, services: Store[Service]) -> set[Key]:
    """The Services whose selector matches the pod."""
    found = labels(pod)
    namespace = pod["metadata"]["namespace"]
    return {
        key(service)
        for label in found.items()
        for service in services.by_index("selected label", (namespace, *label))
        if service["spec"]["selector"].items() <= found.items()
    }


def pods_of(service: Service, pods: Store[Pod]) -> list[Pod]:
    """The pods that the Service's selector matches, in a lasting order."""
    selector = service["spec"].get("selector")
    if not selector:
        return []
    candidates = pods.by_index("label", (service["metadata"]["namespace"], *min(selector.items())))
    found = (pod for pod in candidates if selector.items() <= labels(pod).items())
    return sorted(found, key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", key(pod)))


def pod_handler(services: Store[Service], enqueue: Callable[[Key], None]) -> Handler[Pod]:
    """A handler that enqueues the Services whose endpoints a pod's change may change."""

    def changed(old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and relevant(old) == relevant(new):
            return
        for pod in (old, new):
            if pod is not None:
                for service in services_of(pod, services):
                    enqueue(service)

    return changed

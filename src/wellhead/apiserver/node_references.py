"""What the pods of each node refer to, kept by change: a question about it looks at no pod.

Upstream's Node authorizer keeps a graph for that (plugin/pkg/auth/authorizer/node/graph.go).
"""

from __future__ import annotations

from collections import Counter

from wellhead.api.kinds.pod.references import is_mirror, references
from wellhead.api.meta import Key
from wellhead.storage.cache import Collection
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event, Item

_Reference = tuple[str, str, str, str]  # node, namespace, resource, name


class NodeReferences:
    """ServiceAccounts, ConfigMaps, Secrets and claims by the nodes whose pods name them. `pods` is loaded."""

    def __init__(self, pods: Collection) -> None:
        self._of_pod: dict[Key, frozenset[_Reference]] = {}
        self._held: Counter[_Reference] = Counter()  # by how many pods
        for item in pods.items():
            self._set((item.namespace, item.name), _opened(item))
        pods.observe(self._follow)

    def has(self, node: str, namespace: str, resource: str, name: str) -> bool:
        """Whether a pod that is bound to the node refers to this object of its namespace."""
        return (node, namespace, resource, name) in self._held

    def _follow(self, event: Event) -> None:
        item = event.item
        self._set((item.namespace, item.name), frozenset() if event.type == "DELETED" else _opened(item))

    def _set(self, pod: Key, opened: frozenset[_Reference]) -> None:
        before = self._of_pod.get(pod, frozenset())
        if opened == before:
            return
        if opened:
            self._of_pod[pod] = opened
        else:
            del self._of_pod[pod]
        for each in opened - before:
            self._held[each] += 1
        for each in before - opened:
            self._held[each] -= 1
            if not self._held[each]:
                del self._held[each]


def _opened(item: Item) -> frozenset[_Reference]:
    """What a pod opens to its node. A mirror the node makes itself: what it names must give it nothing."""
    node = node_of(item)
    if not node:
        return frozenset()
    pod = decode(item.data)
    if is_mirror(pod):
        return frozenset()
    return frozenset((node, item.namespace, *each) for each in references(pod["spec"], item.name))


def node_of(item: Item) -> str:
    """The node that a pod is bound to; "" while it is to none."""
    spec = item.head.get("spec")
    node = spec.get("nodeName") if isinstance(spec, dict) else None
    return node if isinstance(node, str) else ""

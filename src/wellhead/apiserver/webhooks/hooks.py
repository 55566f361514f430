"""The webhooks of all configurations, kept by change, and which of them a kind of request concerns."""

from __future__ import annotations

from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES
from wellhead.api.webhooks.hook import Hook, hooks_of
from wellhead.api.webhooks.matching import Target, equivalents, matching_resource
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event

Concerned = tuple[tuple[int, Hook, Resource], ...]
"""Webhooks with their place among all, and the name of the resource by which each wants to hear of it."""

_MOST_KEPT = 4096


class Hooks:
    """Those of one kind of configuration. `cache` has started."""

    def __init__(self, cache: WatchCache, resource: Resource, kinds: CustomKinds) -> None:
        self._kinds = kinds
        self._of: dict[str, tuple[Hook, ...]] = {}
        self.all: tuple[Hook, ...] = ()
        """In the order in which they are asked: by the configurations' names, then as each has them."""
        self._concerned: dict[tuple[str, str, str, str, str, bool, int], Concerned] = {}
        collection = cache[resource.storage_prefix]
        for item in collection.items():
            self._of[item.name] = tuple(hooks_of(decode(item.data)))
        self._arrange()
        collection.observe(self._changed)

    def concerned(self, request: Request) -> Concerned:
        """Those whose rules are about such requests; what selectors and conditions say is another question.

        Remembered, since most requests are about what no webhook is for.
        """
        if not self.all:
            return ()
        resource, namespace = request.resource, namespace_of(request)
        key = (
            request.operation,
            resource.group,
            resource.version,
            resource.plural,
            request.subresource,
            bool(namespace),
            self._kinds.changes,
        )
        found = self._concerned.get(key)
        if found is None:
            if len(self._concerned) >= _MOST_KEPT:
                self._concerned.clear()
            found = self._concerned[key] = self._match(request, namespace)
        return found

    def _match(self, request: Request, namespace: str) -> Concerned:
        resource = request.resource
        target = Target(request.operation, resource, request.subresource, namespace)
        others = other_names(self._kinds, request)
        matched = (
            (index, hook, matching_resource(hook.rules, target, others if hook.equivalent else ()))
            for index, hook in enumerate(self.all)
        )
        return tuple((index, hook, name) for index, hook, name in matched if name is not None)

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._of.pop(event.item.name, None)
        else:
            self._of[event.item.name] = tuple(hooks_of(decode(event.item.data)))
        self._arrange()

    def _arrange(self) -> None:
        self.all = tuple(hook for name in sorted(self._of) for hook in self._of[name])
        self._concerned.clear()


def other_names(kinds: CustomKinds, request: Request) -> tuple[Resource, ...]:
    """Other versions and groups of the request's resource."""
    resource = request.resource
    if (defined := kinds.defined(resource)) is not None:
        return tuple(each for each in defined.resources.values() if each != resource)
    return equivalents(resource, request.subresource)


def namespace_of(request: Request) -> str:
    """The namespace as rules and selectors see it: of a namespace, its own name."""
    return request.name if request.resource == NAMESPACES else request.namespace

"""The webhooks of all configurations, kept by change."""

from __future__ import annotations

from wellhead.api.resource import Resource
from wellhead.api.webhooks.hook import Hook, hooks_of
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event


class Hooks:
    """Those of one kind of configuration. `cache` has started."""

    def __init__(self, cache: WatchCache, resource: Resource) -> None:
        self._of: dict[str, tuple[Hook, ...]] = {}
        self.all: tuple[Hook, ...] = ()
        """In the order in which they are asked: by the configurations' names, then as each has them."""
        collection = cache[resource.storage_prefix]
        for item in collection.items():
            self._of[item.name] = tuple(hooks_of(decode(item.data)))
        self._arrange()
        collection.observe(self._changed)

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._of.pop(event.item.name, None)
        else:
            self._of[event.item.name] = tuple(hooks_of(decode(event.item.data)))
        self._arrange()

    def _arrange(self) -> None:
        self.all = tuple(hook for name in sorted(self._of) for hook in self._of[name])

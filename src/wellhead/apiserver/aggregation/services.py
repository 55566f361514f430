"""Which APIServices lead elsewhere, kept by change; and what those serve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wellhead.api.kinds.apiservice import APISERVICES, AVAILABLE
from wellhead.api.meta import Obj, is_condition_true
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event, Item


@dataclass(frozen=True)
class Remote:
    """An APIService with a Service."""

    name: str
    group: str
    version: str
    namespace: str
    service: str
    port: int
    ca_bundle: str
    unverified: bool
    group_priority: int
    version_priority: int
    available: bool = field(default=False, compare=False)

    @property
    def server_name(self) -> str:
        """The name that its certificate must be for."""
        return f"{self.service}.{self.namespace}.svc"

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


class Remotes:
    """All of them. `cache` has started."""

    def __init__(self, cache: WatchCache) -> None:
        self._found: dict[tuple[str, str], Remote] = {}
        self._resources: dict[str, list[Obj]] = {}
        self._listeners: list[Callable[[str], None]] = []
        self.changes = 0
        """How often what there is to discover has changed."""
        collection = cache[APISERVICES.storage_prefix]
        for item in collection.items():
            self._learn(item)
        collection.observe(self._changed)

    def get(self, group: str, version: str) -> Remote | None:
        """Who answers for the group's version, if it isn't this server."""
        return self._found.get((group, version)) if self._found else None

    def of_path(self, path: str) -> Remote | None:
        """Who answers a request for this path, if it isn't this server."""
        if not self._found:
            return None
        parts = path.split("/", 4)
        return self.get(parts[2], parts[3]) if len(parts) > 3 and parts[1] == "apis" else None

    def __iter__(self) -> Iterator[Remote]:
        return iter(list(self._found.values()))

    def named(self, name: str) -> Remote | None:
        return next((each for each in self._found.values() if each.name == name), None)

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the name of each APIService that comes, goes or leads elsewhere now."""
        self._listeners.append(listener)

    def resources(self, remote: Remote) -> list[Obj]:
        """What it said that it serves (APIResources), when it was asked last."""
        return self._resources.get(remote.name, [])

    def serves(self, remote: Remote, resources: list[Obj]) -> None:
        """Note what it serves."""
        if self._resources.get(remote.name) != resources:
            self._resources[remote.name] = resources
            self.changes += 1

    def _changed(self, event: Event) -> None:
        name = event.item.name
        before = self.named(name)
        if event.type == "DELETED":
            self._forget(before)
        else:
            self._learn(event.item)
        after = self.named(name)
        if before != after:
            for listener in self._listeners:
                listener(name)

    def _learn(self, item: Item) -> None:
        found = remote_of(decode(item.data))
        before = self.named(item.name)
        if found is None:
            self._forget(before)
            return
        if before is None or before != found or before.available != found.available:
            self.changes += 1
        self._found[found.group, found.version] = found

    def _forget(self, remote: Remote | None) -> None:
        if remote is not None:
            del self._found[remote.group, remote.version]
            self._resources.pop(remote.name, None)
            self.changes += 1


def remote_of(obj: Obj) -> Remote | None:
    """None for an APIService that is this server's own."""
    spec = obj["spec"]
    service = spec.get("service")
    if service is None:
        return None
    return Remote(
        obj["metadata"]["name"],
        spec.get("group") or "",
        spec["version"],
        service["namespace"],
        service["name"],
        service.get("port") or 443,
        spec.get("caBundle") or "",
        bool(spec.get("insecureSkipTLSVerify")),
        spec["groupPriorityMinimum"],
        spec["versionPriority"],
        is_condition_true(obj, AVAILABLE),
    )

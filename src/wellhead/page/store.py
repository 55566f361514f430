"""The objects that the page knows, one by one, and the world that they are at a moment. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from wellhead.api.meta import Key
from wellhead.api.names import SERVICE_NAME_LABEL
from wellhead.paths.way import Unread
from wellhead.paths.world import Entry, World


class Store:
    """Objects by kind and name. A `World` is made of it when somebody asks, and kept until something
    changes: what was read of an object is kept with the object, so that making one costs little.
    """

    def __init__(self, *, is_cluster: bool) -> None:
        self.version = 0
        """Grows with each change."""
        self._is_cluster = is_cluster
        self._unread: dict[str, Unread] = {}
        self._of_kind: dict[str, dict[Key, Entry]] = defaultdict(dict)
        self._slices: dict[Key, dict[Key, Entry]] = defaultdict(dict)
        self._world: World | None = None

    def put(self, entry: Entry) -> Entry | None:
        """Keep it; what was kept under its name before."""
        old = self._of_kind[entry.kind].get(key_of(entry))
        self._of_kind[entry.kind][key_of(entry)] = entry
        if entry.kind == "EndpointSlice":
            self._forget_slice(old)
            if (service := service_of(entry)) is not None:
                self._slices[service][key_of(entry)] = entry
        self._changed()
        return old

    def remove(self, entry: Entry) -> Entry | None:
        """Forget it; what was kept under its name."""
        old = self._of_kind[entry.kind].pop(key_of(entry), None)
        if old is not None:
            self._forget_slice(old)
            self._changed()
        return old

    def _forget_slice(self, old: Entry | None) -> None:
        service = service_of(old) if old is not None and old.kind == "EndpointSlice" else None
        if old is not None and service in self._slices:
            self._slices[service].pop(key_of(old), None)
            if not self._slices[service]:
                del self._slices[service]

    def set_unread(self, of: str, unread: Iterable[Unread]) -> None:
        """What can't be read of a kind."""
        before = dict(self._unread)
        for each in [each for each in self._unread if each.partition("\0")[0] == of]:
            del self._unread[each]
        self._unread |= {f"{of}\0{each.what}": each for each in unread}
        if self._unread != before:
            self._changed()

    @property
    def unread(self) -> tuple[Unread, ...]:
        return tuple(sorted(self._unread.values(), key=lambda each: each.what))

    def _changed(self) -> None:
        self.version += 1
        self._world = None

    def get(self, kind: str, key: Key) -> Entry | None:
        return self._of_kind[kind].get(key)

    def of_kind(self, kind: str) -> Iterable[Entry]:
        return self._of_kind[kind].values()

    def has(self, kind: str) -> bool:
        return bool(self._of_kind[kind])

    def world(self) -> World:
        """All of it, as it is now; it doesn't change any more."""
        if self._world is None:
            entries = [
                entry for kind in sorted(self._of_kind) for _, entry in sorted(self._of_kind[kind].items())
            ]
            self._world = World(entries, self.unread, is_cluster=self._is_cluster)
        return self._world

    def world_of_service(self, key: Key) -> World:
        """A Service with its slices alone: what its own facts are made of."""
        if not self.has("EndpointSlice"):
            return self.world()  # where endpoints are made of pods
        entry = self.get("Service", key)
        return World([*([entry] if entry is not None else ()), *self._slices.get(key, {}).values()])


def service_of(entry: Entry) -> Key | None:
    """The Service that a slice is of."""
    name = entry.labels.get(SERVICE_NAME_LABEL)
    return (entry.namespace or "default", name) if name else None


def key_of(entry: Entry) -> Key:
    """Its namespace and name. What a manifest gives no namespace goes to `default`."""
    return entry.namespace or ("" if entry.kind == "Node" else "default"), entry.name

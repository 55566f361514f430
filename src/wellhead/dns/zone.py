"""What there is to tell: namespaces, Services, endpoints, who has an address. Kept current by changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from wellhead.dns.objects import Endpoint, Key, Port, Service, Slice

Fact = tuple[str, ...]
"""What an answer rests on: ("service", namespace, name), ("namespace", name), ("address", ip)."""


class Zone:
    """The content of the cluster domain.

    `changed` is called with each fact that isn't what it was any more: work is proportional to the change.
    """

    def __init__(self, changed: Callable[[Fact], None]) -> None:
        self._changed = changed
        self._namespaces: set[str] = set()
        self._services: dict[Key, Service] = {}
        self._slices: defaultdict[Key, dict[str, Slice]] = defaultdict(dict)
        self._service_of: defaultdict[str, set[Key]] = defaultdict(set)
        self._hosts_of: defaultdict[str, dict[tuple[Key, str], frozenset[str]]] = defaultdict(dict)

    def namespace_changed(self, old: str | None, new: str | None) -> None:
        """A namespace was created or deleted (the other one is None); anything else is no change."""
        if old == new:
            return
        for name in filter(None, (old, new)):
            (self._namespaces.add if new else self._namespaces.discard)(name)
            self._changed(("namespace", name))

    def service_changed(self, old: Service | None, new: Service | None) -> None:
        """A Service was created, changed or deleted."""
        if old == new:
            return
        if old is not None:
            self._services.pop(old.key, None)
            for ip in old.cluster_ips:
                _take(self._service_of, ip, old.key)
        if new is not None:
            self._services[new.key] = new
            for ip in new.cluster_ips:
                self._service_of[ip].add(new.key)
        for each in filter(None, (old, new)):
            self._changed(("service", *each.key))
            for ip in each.cluster_ips:
                self._changed(("address", ip))

    def slice_changed(self, old: Slice | None, new: Slice | None) -> None:
        """An EndpointSlice was created, changed or deleted."""
        if old == new:
            return
        if old is not None:
            slices = self._slices[old.service]
            slices.pop(old.name, None)
            if not slices:
                del self._slices[old.service]
            for ip in _named(old):
                self._hosts_of[ip].pop((old.service, old.name), None)
                if not self._hosts_of[ip]:
                    del self._hosts_of[ip]
        if new is not None:
            self._slices[new.service][new.name] = new
            for ip, hostnames in _named(new).items():
                self._hosts_of[ip][new.service, new.name] = hostnames
        for each in filter(None, (old, new)):
            self._changed(("service", *each.service))
        for ip in {*(_named(old) if old else ()), *(_named(new) if new else ())}:
            self._changed(("address", ip))

    def has_namespace(self, name: str) -> bool:
        return name in self._namespaces

    def service(self, key: Key) -> Service | None:
        return self._services.get(key)

    def endpoints(self, key: Key) -> Iterator[tuple[Endpoint, tuple[Port, ...]]]:
        """A Service's endpoints with their ports, slice by slice in the order of their names."""
        for _, each in sorted(self._slices.get(key, {}).items()):
            for endpoint in each.endpoints:
                yield endpoint, each.ports

    def services_at(self, ip: str) -> Iterable[Key]:
        """The Services whose ClusterIP it is."""
        return sorted(self._service_of.get(ip, ()))

    def hosts_at(self, ip: str) -> Iterable[tuple[str, Key]]:
        """The endpoints with a hostname whose address it is: that hostname, and the Service."""
        found = self._hosts_of.get(ip, {})
        return sorted({(host, key) for (key, _), hosts in found.items() for host in hosts})


def _named(endpoint_slice: Slice) -> dict[str, frozenset[str]]:
    """The hostnames of each address that has one."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in endpoint_slice.endpoints:
        if each.hostname:
            found[each.address].add(each.hostname)
    return {ip: frozenset(hostnames) for ip, hostnames in found.items()}


def _take(index: defaultdict[str, set[Key]], ip: str, key: Key) -> None:
    index[ip].discard(key)
    if not index[ip]:
        del index[ip]

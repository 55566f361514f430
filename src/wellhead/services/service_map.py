"""All Services of the cluster with their endpoints and frontends, kept current by single changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from wellhead.services.endpointslice import Endpoint, EndpointAddress, EndpointSlice, join_slices
from wellhead.services.frontends import Frontends
from wellhead.services.names import FrontendOfKind, ServiceKey
from wellhead.services.service import Service, ServicePort


class ServiceMap:
    """Services, their EndpointSlices, and who holds which frontend.

    The map is the same for every node and every order of events. A change costs what the changed Service has
    (ports, endpoints, frontends), not what the cluster has. Services that may be handled differently since
    `take_changed` was last called are remembered by key.
    """

    def __init__(self) -> None:
        self._services: dict[ServiceKey, Service] = {}
        self._slices: dict[tuple[str, str], EndpointSlice] = {}
        self._slices_of: dict[ServiceKey, tuple[EndpointSlice, ...]] = {}
        self._frontends = Frontends()
        self._changed: set[ServiceKey] = set()
        self._preserving: set[ServiceKey] = set()

    def __iter__(self) -> Iterator[ServiceKey]:
        return iter(self._services)

    def service(self, key: ServiceKey) -> Service | None:
        """The Service called `key`, if it is served."""
        return self._services.get(key)

    @property
    def preserving(self) -> Set[ServiceKey]:
        """The Services that ask by themselves for clients outside to keep their address."""
        return self._preserving

    def set_service(self, key: ServiceKey, service: Service | None) -> None:
        """Note that the Service called `key` is now `service`; None when it is gone or not ours to serve."""
        old = self._services.get(key)
        if old == service:
            return
        self._changed.add(key)
        self._changed.update(self._frontends.replace(old, service))
        if service is None:
            del self._services[key]
        else:
            self._services[key] = service
        if service is not None and service.ports and service.ports[0].preserve_client_ip:  # all alike
            self._preserving.add(key)
        elif self._preserving:
            self._preserving.discard(key)

    def set_slice(self, namespace: str, name: str, endpoint_slice: EndpointSlice | None) -> None:
        """Note what the EndpointSlice of this name holds now; None when it is gone or no use to proxies."""
        old = self._slices.get((namespace, name))
        if old == endpoint_slice:
            return
        if old is not None:
            del self._slices[(namespace, name)]
            rest = tuple(each for each in self._slices_of[old.service] if each is not old)
            if rest:
                self._slices_of[old.service] = rest
            else:
                del self._slices_of[old.service]
            self._changed.add(old.service)
        if endpoint_slice is not None:
            self._slices[(namespace, name)] = endpoint_slice
            others = self._slices_of.get(endpoint_slice.service, ())
            self._slices_of[endpoint_slice.service] = (*others, endpoint_slice)
            self._changed.add(endpoint_slice.service)

    def endpoints(
        self, port: ServicePort, of: ServiceKey | None = None
    ) -> Mapping[EndpointAddress, Endpoint]:
        """Every endpoint of a Service port, whatever its conditions, ordered by address."""
        slices = self._slices_of.get(of or port.key.service_key, ())
        return join_slices(slices, port.key.family, port.key.port, port.protocol)

    def held(self, port: ServicePort) -> tuple[FrontendOfKind, ...]:
        """The frontends that a Service port claims and holds."""
        return self._frontends.held(port)

    def take_changed(self) -> set[ServiceKey]:
        """The Services to look at again since the last call; some of them may be gone."""
        changed, self._changed = self._changed, set()
        return changed


def service_map(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> ServiceMap:
    """The map of these Services and slices."""
    result = ServiceMap()
    for service in services:
        result.set_service(service.key, service)
    for each in slices:
        result.set_slice(each.service.namespace, each.name, each)
    return result

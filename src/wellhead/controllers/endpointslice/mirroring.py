"""EndpointSlices that mirror what users wrote into Endpoints of Services without a selector.

Source: upstream's endpointslicemirroring controller. Proxies read EndpointSlices only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from wellhead.api.meta import Key, Obj, is_deleting, key, labels, owner_reference
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import (
    HEADLESS_LABEL,
    LAST_APPLIED_ANNOTATION,
    SERVICE_NAME_LABEL,
    SKIP_MIRROR_LABEL,
    SLICE_MANAGER_LABEL,
    TRIGGER_TIME_ANNOTATION,
)
from wellhead.api.resources import ENDPOINTS, ENDPOINTSLICES, SERVICES
from wellhead.api.types.endpointslice import Endpoint, EndpointSlice
from wellhead.api.types.service import Service
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.endpointslice.controller import write
from wellhead.controllers.endpointslice.desired import is_headless
from wellhead.controllers.endpointslice.ports import Port
from wellhead.controllers.endpointslice.slices import Frame, SliceKind, changes, slice_handler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check
from wellhead.ip import IPAddress, parse_address

MANAGED_BY = "endpointslicemirroring-controller.k8s.io"

_LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
_NOT_COPIED = frozenset({LAST_APPLIED_ANNOTATION, TRIGGER_TIME_ANNOTATION})
_MOST_ADDRESSES = 1000  # of each subset


def is_mirrored(endpoints: Obj, service: Service | None) -> bool:
    return (
        service is not None
        and not service["spec"].get("selector")
        and not is_deleting(endpoints)
        and labels(endpoints).get(SKIP_MIRROR_LABEL) != "true"
        and _LEADER_ANNOTATION not in annotations_of(endpoints)
    )


def frame_of(endpoints: Obj, service: Service) -> Frame:
    metadata = endpoints["metadata"]
    copied = {**labels(endpoints), SERVICE_NAME_LABEL: metadata["name"], SLICE_MANAGER_LABEL: MANAGED_BY}
    copied.pop(HEADLESS_LABEL, None)
    if is_headless(service):
        copied[HEADLESS_LABEL] = ""
    kept = {name: text for name, text in annotations_of(endpoints).items() if name not in _NOT_COPIED}
    return Frame(
        generate_name=f"{metadata['name'][:57]}-",
        namespace=metadata["namespace"],
        labels=copied,
        annotations=kept,
        owner_references=[owner_reference(endpoints)],
    )


def mirrored_endpoints(endpoints: Obj) -> Mapping[SliceKind, list[Endpoint]]:
    """The endpoints of all subsets, by address type and ports; an address counts once, ready if it is."""
    found: dict[SliceKind, dict[tuple[str, str], Endpoint]] = defaultdict(dict)
    for subset in endpoints.get("subsets") or []:
        ports = tuple(
            sorted(map(Port.from_object, subset.get("ports") or []), key=lambda p: (p.name, p.port or 0))
        )
        ready = [(address, True) for address in subset.get("addresses") or []]
        waiting = [(address, False) for address in subset.get("notReadyAddresses") or []]
        for address, is_ready in (ready + waiting)[:_MOST_ADDRESSES]:
            ip = parse_address(address["ip"])
            if ip is None:
                continue
            endpoint = _endpoint(address, ip, ready=is_ready)
            identity = (endpoint["addresses"][0], (address.get("targetRef") or {}).get("uid", ""))
            found[f"IPv{ip.version}", ports].setdefault(identity, endpoint)
    return {kind: list(each.values()) for kind, each in found.items()}


def _endpoint(address: Obj, ip: IPAddress, *, ready: bool) -> Endpoint:
    """`str(ip)`: slices may have one spelling of an address alone, whichever the user chose."""
    endpoint: Endpoint = {"addresses": [str(ip)], "conditions": {"ready": ready}}
    for name in ("hostname", "nodeName", "targetRef"):
        if address.get(name):
            endpoint[name] = address[name]
    return endpoint


class EndpointSliceMirroringController:
    """Reconciles Endpoints, one at a time each."""

    name = "endpointslicemirroring"

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._endpoints: Store[Obj] = stores[ENDPOINTS]
        self._services: Store[Service] = stores[SERVICES]
        self._slices: Store[EndpointSlice] = stores[ENDPOINTSLICES]
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._endpoints.on_change(self._endpoints_changed)
        self._services.on_change(self._service_changed)
        self._slices.on_change(slice_handler(MANAGED_BY, self._slices, self._reconciler.enqueue))

    async def run(self) -> None:
        await self._stores.synced(ENDPOINTS, SERVICES, ENDPOINTSLICES)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _endpoints_changed(self, old: Obj | None, new: Obj | None) -> None:
        name = key(new or old or {})
        service = self._services.get(*reversed(name))
        if service is None or not service["spec"].get("selector"):
            self._reconciler.enqueue(name)

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        """Of one that has a selector and had one, nothing is mirrored."""
        if any(each is not None and not each["spec"].get("selector") for each in (old, new)):
            self._reconciler.enqueue(key(new or old or {}))

    async def _reconcile(self, name: Key) -> float | None:
        existing = [
            each
            for each in self._slices.by_index("service", name)
            if labels(each).get(SLICE_MANAGER_LABEL) == MANAGED_BY and not is_deleting(each)
        ]
        endpoints = self._endpoints.get(*reversed(name))
        service = self._services.get(*reversed(name))
        if endpoints is None or service is None or not is_mirrored(endpoints, service):
            for each in existing:
                await self._slices.delete(each)
            return None
        desired = mirrored_endpoints(endpoints)
        await write(self._slices, changes(existing, desired, frame_of(endpoints, service), ()))
        return None

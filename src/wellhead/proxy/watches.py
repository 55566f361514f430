"""From watch events to the service map: what the proxy knows of the cluster.

Objects are read once, as they come in; their JSON is not kept. It is ten times what is needed of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from sys import intern

import msgspec

from wellhead.api.forms import formed, identity
from wellhead.api.meta import Obj
from wellhead.api.names import HEADLESS_LABEL, PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.client.informer import tolerant
from wellhead.proxy.metrics import Metrics
from wellhead.services.endpointslice import EndpointSlice, EndpointSliceForm, parse_endpoint_slice
from wellhead.services.names import ServiceKey
from wellhead.services.service import PROXY_NAME_LABEL, Service, ServiceForm, parse_service
from wellhead.services.service_map import ServiceMap

log = logging.getLogger(__name__)

SERVICE_SELECTOR = f"!{PROXY_NAME_LABEL}"
SLICE_SELECTOR = f"!{PROXY_NAME_LABEL},!{HEADLESS_LABEL}"
"""What a proxy without a name asks the server for, as kube-proxy does."""


class ReadService(msgspec.Struct, frozen=True, gc=False):
    """A Service object, read."""

    key: ServiceKey
    uid: str
    service: Service | None
    """None when this proxy has nothing to do with it."""


class ReadSlice(msgspec.Struct, frozen=True, gc=False):
    """An EndpointSlice object, read."""

    namespace: str
    name: str
    slice: EndpointSlice | None
    """None when a proxy has no use for it."""
    triggered: float | None
    """When, in Unix seconds, the pod or Service changed whose change the controller last put into it."""


def read_service(obj: Obj | ServiceForm) -> ReadService:
    """What the proxy keeps of a Service object."""
    found = _service_of(obj)
    if found is None:
        key, _, uid = identity(obj)
        return ReadService(ServiceKey(*key), uid, None)
    form, service = found
    metadata = form.metadata
    wish = metadata.annotations.preserve_client_ip if metadata.annotations else None
    if wish not in (None, "true", "false"):
        log.warning(
            '%s/%s: annotation %s: %r says nothing: it takes "true" or "false"',
            metadata.namespace,
            metadata.name,
            PRESERVE_CLIENT_IP_ANNOTATION,
            wish,
        )
    name = service.key if service is not None else ServiceKey(metadata.namespace, metadata.name)
    return ReadService(name, metadata.uid, service)


def read_slice(obj: Obj | EndpointSliceForm) -> ReadSlice:
    """What the proxy keeps of an EndpointSlice object."""
    found = _slice_of(obj)
    if found is None:
        return ReadSlice(*identity(obj)[0], None, None)
    form, read = found
    metadata = form.metadata
    triggered = _trigger_time(metadata.annotations.triggered) if metadata.annotations else None
    return ReadSlice(intern(metadata.namespace), metadata.name, read, triggered)


@tolerant
def _service_of(obj: Obj | ServiceForm) -> tuple[ServiceForm, Service | None]:
    form = formed(obj, ServiceForm)
    return form, parse_service(form)


@tolerant
def _slice_of(obj: Obj | EndpointSliceForm) -> tuple[EndpointSliceForm, EndpointSlice | None]:
    form = formed(obj, EndpointSliceForm)
    return form, parse_endpoint_slice(form)


class Watches:
    """Handlers for the informers of Services and EndpointSlices. Each change asks for a sync."""

    def __init__(
        self,
        services: ServiceMap,
        metrics: Metrics,
        changed: Callable[[], None],
        started: float,
    ) -> None:
        """What happened before `started`, in Unix seconds, isn't measured, as upstream."""
        self._services = services
        self._metrics = metrics
        self._changed = changed
        self._started = started
        self._triggers: list[float] = []
        self._service_changes = 0
        self._endpoint_changes = 0
        metrics.service_changes_pending.set_function(lambda: self._service_changes)
        metrics.endpoint_changes_pending.set_function(lambda: self._endpoint_changes)

    def on_service(self, old: ReadService | None, new: ReadService | None) -> None:
        """A Service came, changed or went."""
        if (either := new or old) is None:
            return
        self._services.set_service(either.key, new.service if new else None)
        self._service_changes += 1
        self._changed()

    def on_slice(self, old: ReadSlice | None, new: ReadSlice | None) -> None:
        """An EndpointSlice came, changed or went."""
        if (either := new or old) is None:
            return
        self._services.set_slice(either.namespace, either.name, new.slice if new else None)
        triggered = new.triggered if new else None
        before = old.triggered if old else None
        if triggered is not None and triggered != before and triggered >= self._started:
            self._triggers.append(triggered)
        self._endpoint_changes += 1
        self._changed()

    def take_triggers(self) -> list[float]:
        """When, in Unix seconds, the pods changed whose changes came in since the last call."""
        self._metrics.service_changes.inc(self._service_changes)
        self._metrics.endpoint_changes.inc(self._endpoint_changes)
        self._service_changes = self._endpoint_changes = 0
        triggers, self._triggers = self._triggers, []
        return triggers


def _trigger_time(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None

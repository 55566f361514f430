"""From watch events to the service map: what the proxy knows of the cluster.

Objects are read once, as they come in; their JSON is not kept. It is ten times what is needed of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from sys import intern

import msgspec

from wellhead.api.forms import formed, identity
from wellhead.api.meta import Obj
from wellhead.client.informer import tolerant
from wellhead.proxy.metrics import Metrics
from wellhead.services.endpointslice import (
    HEADLESS_LABEL,
    EndpointSlice,
    EndpointSliceForm,
    parse_endpoint_slice,
)
from wellhead.services.names import ServiceKey
from wellhead.services.service import (
    PRESERVE_CLIENT_IP_ANNOTATION,
    PROXY_NAME_LABEL,
    Service,
    ServiceForm,
    parse_service,
)
from wellhead.services.service_map import ServiceMap

log = logging.getLogger(__name__)

SERVICE_SELECTOR = f"!{PROXY_NAME_LABEL}"
SLICE_SELECTOR = f"!{PROXY_NAME_LABEL},!{HEADLESS_LABEL}"
"""What a proxy without a name asks the server for, as kube-proxy does."""

_service_form = tolerant(partial(formed, form=ServiceForm))
_slice_form = tolerant(partial(formed, form=EndpointSliceForm))
_parse_service, _parse_slice = tolerant(parse_service), tolerant(parse_endpoint_slice)


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
    (namespace, name), _, uid = identity(obj)
    form = _service_form(obj)
    service = _parse_service(form) if form is not None else None
    annotations = form.metadata.annotations if form is not None else None
    if annotations and annotations.preserve_client_ip not in (None, "true", "false"):
        log.warning(
            '%s/%s: annotation %s: %r says nothing: it takes "true" or "false"',
            namespace,
            name,
            PRESERVE_CLIENT_IP_ANNOTATION,
            annotations.preserve_client_ip,
        )
    return ReadService(service.key if service is not None else ServiceKey(namespace, name), uid, service)


def read_slice(obj: Obj | EndpointSliceForm) -> ReadSlice:
    """What the proxy keeps of an EndpointSlice object."""
    (namespace, name), _, _ = identity(obj)
    form = _slice_form(obj)
    if form is None:
        return ReadSlice(namespace, name, None, None)
    annotations = form.metadata.annotations
    triggered = _trigger_time(annotations.triggered) if annotations else None
    return ReadSlice(intern(namespace), name, _parse_slice(form), triggered)


class Watches:
    """Handlers for the informers of Services and EndpointSlices. Each change asks for a sync."""

    def __init__(
        self,
        services: ServiceMap,
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        self._services = services
        self._metrics = metrics
        self._changed = changed
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
        if old and new and new.triggered is not None and new.triggered != old.triggered:
            self._triggers.append(new.triggered)
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

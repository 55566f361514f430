"""From watch events to the service map: what the proxy knows of the cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from wellhead.api.meta import Obj
from wellhead.proxy.metrics import Metrics
from wellhead.services.endpointslice import HEADLESS_LABEL, parse_endpoint_slice
from wellhead.services.names import ServiceKey
from wellhead.services.service import PROXY_NAME_LABEL, parse_service
from wellhead.services.service_map import ServiceMap

log = logging.getLogger(__name__)

TRIGGER_TIME_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"

SERVICE_SELECTOR = f"!{PROXY_NAME_LABEL}"
SLICE_SELECTOR = f"!{PROXY_NAME_LABEL},!{HEADLESS_LABEL}"
"""What a proxy without a name asks the server for, as kube-proxy does."""

T = TypeVar("T")


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

    def on_service(self, old: Obj | None, new: Obj | None) -> None:
        """A Service came, changed or went."""
        metadata = (new or old or {})["metadata"]
        parsed = _parsed(parse_service, new)
        self._services.set_service(ServiceKey(metadata["namespace"], metadata["name"]), parsed)
        self._metrics.service_changes.inc()
        self._metrics.service_changes_pending.inc()
        self._changed()

    def on_slice(self, old: Obj | None, new: Obj | None) -> None:
        """An EndpointSlice came, changed or went."""
        metadata = (new or old or {})["metadata"]
        parsed = _parsed(parse_endpoint_slice, new)
        self._services.set_slice(metadata["namespace"], metadata["name"], parsed)
        if old is not None and (triggered := _trigger_time(new)) and triggered != _trigger_time(old):
            self._triggers.append(triggered)
        self._metrics.endpoint_changes.inc()
        self._metrics.endpoint_changes_pending.inc()
        self._changed()

    def take_triggers(self) -> list[float]:
        """When, in Unix seconds, the pods changed whose changes came in since the last call."""
        self._metrics.service_changes_pending.set(0)
        self._metrics.endpoint_changes_pending.set(0)
        triggers, self._triggers = self._triggers, []
        return triggers


def _parsed(parse: Callable[[Obj], T | None], obj: Obj | None) -> T | None:
    """One object that can't be read must not keep the proxy from serving all the others."""
    if obj is None:
        return None
    try:
        return parse(obj)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        metadata = obj.get("metadata", {})
        log.error(
            "ignored %s/%s, which can't be read: %r", metadata.get("namespace"), metadata.get("name"), error
        )
        return None


def _trigger_time(obj: Obj | None) -> float | None:
    text = ((obj or {}).get("metadata", {}).get("annotations") or {}).get(TRIGGER_TIME_ANNOTATION)
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None

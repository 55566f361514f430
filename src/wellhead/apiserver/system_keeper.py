"""Puts back what a cluster can't be without when somebody takes it away.

Upstream: systemnamespaces, kubernetesservice, defaultservicecidr and clusterauthenticationtrust in
pkg/controlplane/controller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from wellhead.api.errors import ApiError
from wellhead.api.kinds.servicecidr import DEFAULT_NAME
from wellhead.api.ranges import Address, Network
from wellhead.api.resources import (
    CONFIGMAPS,
    ENDPOINTS,
    ENDPOINTSLICES,
    NAMESPACES,
    SERVICECIDRS,
    SERVICES,
)
from wellhead.apiserver.aggregation import authentication
from wellhead.apiserver.bootstrap import (
    KUBERNETES,
    ensure_kubernetes_endpoints,
    ensure_kubernetes_service,
    ensure_namespaces,
    ensure_service_ranges,
)
from wellhead.apiserver.names import Names
from wellhead.apiserver.registry.registry import SYSTEM_NAMESPACES, Registry
from wellhead.storage.event_log import Event

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_NAMESPACES, _TRUST, _RANGES, _SERVICE, _ENDPOINTS = "namespaces", "trust", "ranges", "service", "endpoints"


class SystemKeeper:
    """Namespaces of the system, ranges of Services, the Service `kubernetes`, where it leads, and trust."""

    def __init__(
        self,
        registry: Registry,
        ranges: Sequence[Network],
        addresses: Sequence[Address],
        port: int,
        trust: dict[str, str],
    ) -> None:
        """`ranges` are the Services', whose first address is the Service `kubernetes`'.

        `addresses` are the server's own; none: others see to the endpoints. `trust` is whom to believe.
        """
        self._registry = registry
        self._trust = trust
        self._ranges = ranges
        self._addresses = addresses
        self._port = port
        self._names = Names()

    async def ensure(self) -> None:
        """Everything, from now on. Raises InternalError when it can't be stored."""
        for what in (_TRUST, _RANGES, _SERVICE, _ENDPOINTS):
            await self._put_back(what)
        self._registry.collection(CONFIGMAPS).observe(self._config_map_changed)
        self._registry.collection(NAMESPACES).observe(self._namespace_changed)
        self._registry.collection(SERVICECIDRS).observe(self._range_changed)
        self._registry.collection(SERVICES).observe(self._service_changed)
        if self._addresses:
            for resource in (ENDPOINTS, ENDPOINTSLICES):
                self._registry.collection(resource).observe(self._endpoints_changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            what = await self._names.next()
            try:
                await self._put_back(what)
            except ApiError as error:
                _log.warning("%s of the system: %s", what, error)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._names.add, what)

    async def _put_back(self, what: str) -> None:
        if what == _NAMESPACES:
            await ensure_namespaces(self._registry)
        elif what == _TRUST:
            await authentication.ensure_trust(self._registry, self._trust)
        elif what == _RANGES:
            await ensure_service_ranges(self._registry, self._ranges)
        elif what == _SERVICE:
            await ensure_kubernetes_service(self._registry, self._ranges[0][1], self._port)
        elif self._addresses:
            await ensure_kubernetes_endpoints(self._registry, self._addresses, self._port)

    def _namespace_changed(self, event: Event) -> None:
        if event.type == "DELETED" and event.item.name in SYSTEM_NAMESPACES:
            self._names.add(_NAMESPACES)

    def _config_map_changed(self, event: Event) -> None:
        if (event.item.namespace, event.item.name) == (authentication.NAMESPACE, authentication.NAME):
            self._names.add(_TRUST)

    def _range_changed(self, event: Event) -> None:
        if event.type == "DELETED" and event.item.name == DEFAULT_NAME:
            self._names.add(_RANGES)

    def _service_changed(self, event: Event) -> None:
        # What somebody changes of it stays until the next start, as upstream's.
        if event.type == "DELETED" and (event.item.namespace, event.item.name) == KUBERNETES:
            self._names.add(_SERVICE)

    def _endpoints_changed(self, event: Event) -> None:
        if (event.item.namespace, event.item.name) == KUBERNETES:
            self._names.add(_ENDPOINTS)

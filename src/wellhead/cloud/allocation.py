"""What a Service may have here: VIPs of the pool, and ports of the proxy's machine."""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.meta import Obj, key
from wellhead.api.names import PROXY_CLASS
from wellhead.cloud import balancers
from wellhead.cloud.balancers import Request
from wellhead.cloud.classes import Unsupported
from wellhead.cloud.haproxy import ports
from wellhead.cloud.haproxy.plane import Settings
from wellhead.cloud.haproxy.ports import PortTaken
from wellhead.cloud.pools import Asker
from wellhead.cloud.steering import Balancer
from wellhead.cloud.vips import VIPPool, VIPUnavailable
from wellhead.ip import IPAddress


class Allocation:
    """Gives Services what they ask for, or says why not. `no_proxy` is the reason if there is no `proxy`."""

    def __init__(self, pool: VIPPool, proxy: Settings | None, no_proxy: str) -> None:
        self._pool = pool
        self._proxy = proxy
        self._no_proxy = no_proxy

    def request(self, obj: Obj) -> Request:
        """What the Service asks for. Raises Unsupported if it can't be had, or not here."""
        request = balancers.request(obj)
        if request.termination is not None:
            if self._proxy is None:
                raise Unsupported(f"class {PROXY_CLASS}: {self._no_proxy}")
            lacking = [version for version in request.families if not self._has_proxy(version)]
            if lacking and (len(lacking) == len(request.families) or not request.optional_families):
                raise Unsupported(
                    f"the Service has an IPv{lacking[0]} address, and the proxy has none (--proxy-address)"
                )
            if request.termination.dials_endpoints and not self._proxy.dials_endpoints:
                raise Unsupported(
                    "a port has no node port, and endpoints can't be dialled: the proxy has no way to pods "
                    "(allocateLoadBalancerNodePorts: true gives it node ports; --proxy-dials-endpoints says "
                    "that it has one)"
                )
        return request

    def claimed(self, obj: Obj, vips: list[IPAddress], lost: Callable[[Obj, str], None]) -> list[IPAddress]:
        """Those of the VIPs that the Service holds now: the first of a family, if it is free and ours.

        `lost` is told of the others.
        """
        service, tenancy = key(obj), balancers.tenancy(obj)
        claimed: dict[int, IPAddress] = {}
        for address in vips:
            if address.version in claimed:
                continue
            try:
                self._pool.claim(service, address, tenancy)
                claimed[address.version] = address
            except VIPUnavailable as error:
                lost(obj, str(error))
        return list(claimed.values())

    def vips(self, request: Request, obj: Obj) -> tuple[IPAddress, ...]:
        """The VIPs that the Service holds from now on, in the order of its families.

        Raises:
            VIPUnavailable: they can't all be had. It keeps what it holds.
        """
        service, before = request.service, self._pool.tenancies(request.service)
        tenancy, asker = balancers.tenancy(obj), balancers.asker(obj)
        usable = [version for version in request.families if self._serves(request, version, asker)]
        if not request.optional_families or not usable:
            usable = list(request.families)
        try:
            for address in request.addresses:
                self._pool.claim(service, address, tenancy, asker)
            vips = tuple(self._pool.allocate(service, version, tenancy, asker) for version in usable)
        except VIPUnavailable:
            self._pool.restore(service, before)
            raise
        self._pool.release(service, keep=vips)
        return vips

    def check_ports(self, balancer: Balancer, held: frozenset[IPAddress]) -> None:
        """See that HAProxy can listen there. Raises PortTaken; the Service then has the VIPs in `held`."""
        if balancer.request.termination is None:
            return
        try:
            ports.check(balancer.vips, (port.number for port in balancer.request.termination.ports))
        except PortTaken:
            self._pool.release(balancer.request.service, keep=held)
            raise

    def _serves(self, request: Request, version: int, asker: Asker) -> bool:
        """Whether a Service can have a VIP of this IP version here."""
        return self._pool.serves(version, asker) and (request.termination is None or self._has_proxy(version))

    def _has_proxy(self, version: int) -> bool:
        return self._proxy is not None and any(
            address.version == version for address in self._proxy.addresses
        )

"""Telling, by event, where a Service that asks for it can't keep the address of clients outside."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, IPNetwork, collapse, family_of
from wellhead.services.names import PortKey, ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.node_view import ViewDiff
from wellhead.services.view import Preserved

_GRACE_SECONDS = 15.0
"""Nodes announce themselves when a first Service asks, and a rolling upgrade of the proxies is no news."""
_PACE_SECONDS = 0.1
"""Between two Services: with `--preserve-client-ip` a change of a node may be news about thousands."""


class _Told(NamedTuple):
    """What is said of a Service."""

    elsewhere: tuple[str, ...] = ()
    """Nodes that don't return."""
    strays: tuple[IPAddress, ...] = ()
    """Addresses of endpoints that nobody would recognise as a node's."""

    @property
    def gist(self) -> tuple[tuple[str, ...], bool]:
        """What is no news: pods come and go."""
        return self.elsewhere, bool(self.strays)


class Fallbacks:
    """Follows the view, and says of each Service once towards which nodes its clients are masqueraded.

    Said again when these nodes change. Of the nodes that see the same, the first by name speaks.
    """

    def __init__(
        self,
        tell: Callable[[ServiceKey, str], None],
        grace: float = _GRACE_SECONDS,
        pace: float = _PACE_SECONDS,
    ) -> None:
        self._tell = tell
        self._grace = grace
        self._pace = pace
        self._node = LocalNode("")
        self._inside = _Inside(())
        self._preserved: dict[ServiceKey, dict[PortKey, Preserved]] = {}
        self._told: dict[ServiceKey, _Told] = {}
        self._due: dict[ServiceKey, float] = {}
        self._changed = asyncio.Event()

    def update(self, diff: ViewDiff) -> None:
        """Take in a change of the view."""
        self._node = diff.node
        if diff.node.inside != self._inside.networks:
            self._inside = _Inside(diff.node.inside)
            for service in self._preserved:
                self._have_considered(service)
        for key, (_, view) in diff.ports.items():
            preserved = view.preserved if view is not None else None
            if preserved is None and not self._preserved:
                continue
            service = key.service_key
            ports = self._preserved.get(service, {})
            if preserved == ports.get(key):
                continue
            self._preserved[service] = ports
            if preserved is not None:
                ports[key] = preserved
            else:
                del ports[key]
                if not ports:
                    del self._preserved[service]
            self._have_considered(service)

    def _have_considered(self, service: ServiceKey) -> None:
        self._due.setdefault(service, asyncio.get_running_loop().time() + self._grace)
        self._changed.set()

    async def run(self) -> None:
        """Speak when it is time, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._due:
                service, when = next(iter(self._due.items()))  # what came first is due first
                await asyncio.sleep(when - asyncio.get_running_loop().time())
                del self._due[service]
                if self._consider(service):
                    await asyncio.sleep(self._pace)

    def _consider(self, service: ServiceKey) -> bool:
        """Say what is to be said of one Service. Returns whether it was."""
        found = self._found(service)
        before = self._told.get(service, _Told())
        if found.gist == before.gist:
            return False
        self._told[service] = found
        if found == _Told():
            del self._told[service]
        elif self._node.name == min({self._node.name, *self._node.returning}):
            self._tell(service, "; ".join(_sentences(found)))
            return True
        return False

    def _found(self, service: ServiceKey) -> _Told:
        ports = self._preserved.get(service, {}).values()
        elsewhere = {each for port in ports for each in port.elsewhere}
        strays = {each for port in ports for each in port.returning if each not in self._inside}
        return _Told(tuple(sorted(elsewhere)), tuple(sorted(strays, key=lambda each: (each.version, each))))


class _Inside:
    """Nodes' addresses and pod networks, to be asked often."""

    def __init__(self, networks: tuple[IPNetwork, ...]) -> None:
        self.networks = networks
        found = collapse(networks)
        self._firsts = {f: [int(each[0]) for each in found if each.version == f] for f in Family}
        self._lasts = {f: [int(each[-1]) for each in found if each.version == f] for f in Family}

    def __contains__(self, address: IPAddress) -> bool:
        family, number = family_of(address), int(address)
        at = bisect_right(self._firsts[family], number) - 1
        return at >= 0 and number <= self._lasts[family][at]


def _sentences(found: _Told) -> Iterator[str]:
    if found.elsewhere:
        where = ", ".join(each or "(no node given)" for each in found.elsewhere)
        yield f"clients outside are masqueraded towards endpoints on {where}: {_WHY}"
    if found.strays:
        more = f" and {len(found.strays) - 1} more" if len(found.strays) > 1 else ""
        yield f"clients outside are masqueraded towards {found.strays[0]}{more}: {_WHOSE}"


_WHY = "their replies would not come back through the node that the client dialled"
_WHOSE = "neither podCIDRs nor a node's announcement say whose address that is"

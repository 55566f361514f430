"""Telling, by event, where a Service that asks for it can't keep the address of clients outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wellhead.services.names import PortKey, ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.node_view import ViewDiff

_GRACE_SECONDS = 15.0
"""Nodes announce themselves when a first Service asks, and a rolling upgrade of the proxies is no news."""
_PACE_SECONDS = 0.1
"""Between two Services: with `--preserve-client-ip` a change of a node may be news about thousands."""


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
        self._elsewhere: dict[ServiceKey, dict[PortKey, tuple[str, ...]]] = {}
        self._told: dict[ServiceKey, tuple[str, ...]] = {}
        self._due: dict[ServiceKey, float] = {}
        self._changed = asyncio.Event()

    def update(self, diff: ViewDiff) -> None:
        """Take in a change of the view."""
        self._node = diff.node
        for key, (_, view) in diff.ports.items():
            elsewhere = view.preserved.elsewhere if view is not None and view.preserved is not None else ()
            if not elsewhere and not self._elsewhere:
                continue
            service = key.service_key
            ports = self._elsewhere.get(service, {})
            if elsewhere == ports.get(key, ()):
                continue
            self._elsewhere[service] = ports
            if elsewhere:
                ports[key] = elsewhere
            else:
                del ports[key]
                if not ports:
                    del self._elsewhere[service]
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
        ports = self._elsewhere.get(service, {})
        elsewhere = tuple(sorted({each for nodes in ports.values() for each in nodes}))
        if elsewhere == self._told.get(service, ()):
            return False
        self._told[service] = elsewhere
        if not elsewhere:
            del self._told[service]
        elif self._node.name == min({self._node.name, *self._node.returning}):
            where = ", ".join(each or "(no node given)" for each in elsewhere)
            self._tell(service, f"clients outside are masqueraded towards endpoints on {where}: {_WHY}")
            return True
        return False


_WHY = "their replies would not come back through the node that the client dialled"

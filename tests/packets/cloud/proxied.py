"""The terminating proxy's world: API server, `wellhead cloud`, HAProxy, a server on each node."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from typing import TYPE_CHECKING

from tests.packets.cloud.backend import Answer, Backends, Download, fetch
from tests.packets.cloud.conftest import ipv6
from tests.packets.cloud.control import Obj
from tests.patience import PATIENCE, reached
from wellhead.cloud.haproxy import commands

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Network
    from tests.packets.cloud.control import Control


class World:
    """Everything, with helpers that make sentences short."""

    def __init__(self, network: Network, control: Control) -> None:
        self.network, self.control, self.backends = network, control, Backends()
        self._downloads: list[Download] = []

    async def service(self, name: str = "web", client_ip: str | None = None, **spec: object) -> str:
        """Create a Service and servers behind it. Returns its VIP."""
        self.control.create(proxied(name, client_ip, **spec))
        await self.control.until(lambda: self.control.vip(name))
        for port in self.control.service(name)["spec"]["ports"]:
            for node, host in self.network.nodes.items():
                if node_port := port.get("nodePort"):
                    for address in (node, ipv6(node)):
                        await self.backends.serve(host, address, node_port)
        status = self.control.service(name)["status"]["loadBalancer"]["ingress"]
        assert {each["ipMode"] for each in status} == {"Proxy"}
        vip = str(status[0]["ip"])
        if spec.get("externalTrafficPolicy") != "Local":  # whose nodes have checks of their own
            await self.first(vip)
        return vip

    async def get(self, vip: str, *headers: str, source: str = "", seconds: float = PATIENCE) -> Answer:
        return await fetch(self.network.client, vip, 80, *headers, source=source, seconds=seconds)

    async def first(self, vip: str) -> Answer:
        """The same, from when somebody answers: a node that hasn't passed its check yet is led nobody to,
        and the client is told 503.
        """

        async def answer() -> Answer | None:
            with contextlib.suppress(EOFError, ConnectionError):
                return await self.get(vip)
            return None

        found = await reached(answer)
        assert found is not None
        return found

    async def nodes(self, vip: str, count: int = 12, source: str = "") -> set[str]:
        """The nodes that connections of a client come to."""
        return {(await self.get(vip, source=source)).node for _ in range(count)}

    async def download(self, vip: str) -> Download:
        download = await Download.start(self.network.client, vip, 80)
        self._downloads.append(download)
        return download

    def close(self) -> None:
        self.backends.close()
        for download in self._downloads:
            download.close()

    def states(self) -> list[str]:
        """What the first load balancer thinks of its nodes."""
        return [node["state"] for node in self.control.status()["loadBalancers"][0]["nodes"]]

    def names(self) -> list[str]:
        """The Services with a load balancer."""
        return [each["name"] for each in self.control.status()["loadBalancers"]]

    def haproxy(self) -> int:
        """HAProxy's process."""
        pid = self.control.status()["proxy"]["pid"]
        assert isinstance(pid, int)
        return pid

    async def hands_over(self) -> None:
        """Wait until HAProxy would tell a successor whom it remembers: it doesn't in its first seconds."""

        def would(answer: str) -> bool:
            flags = re.search(r"id=wellhead .* flags=0x([0-9a-f]+)", answer)
            return flags is not None and int(flags[1], 16) & 3 == 3

        await reached(partial(commands.ask, self.control.state / "master.sock", "@1 show peers"), would)

    def patch(self, spec: str, name: str = "web") -> None:
        self.control.kubectl("patch", "service", name, "-p", f'{{"spec":{spec}}}')


def proxied(name: str, client_ip: str | None = None, **spec: object) -> Obj:
    annotations = {} if client_ip is None else {"wellhead.dev/client-ip": client_ip}
    defaults = {"type": "LoadBalancer", "loadBalancerClass": "wellhead.dev/proxy", "ports": [{"port": 80}]}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": defaults | spec}

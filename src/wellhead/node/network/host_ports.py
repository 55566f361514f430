"""Ports of the node that lead to a pod's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wellhead.node.network.families import IPAddress


@dataclass(frozen=True, order=True)
class HostPort:
    """A port of the node that leads to a pod's port.

    `host_ip` None: on every address of the node that is of `pod_ip`'s family.
    """

    protocol: str
    port: int
    host_ip: IPAddress | None
    pod_ip: IPAddress
    pod_port: int

    @property
    def number(self) -> tuple[str, int, int]:
        """What another one must share to be in its way: protocol, port, IP version."""
        return self.protocol, self.port, self.pod_ip.version

    def __str__(self) -> str:
        return f"{self.protocol.upper()} port {self.port} of {self.host_ip or 'every address'}"

    @property
    def answers_on_loopback(self) -> bool:
        return self.host_ip is None or self.host_ip.is_loopback


class HostPortTaken(Exception):
    """A pod wants a host port that another has. Says which."""


def conflict(wanted: Iterable[HostPort], held: Iterable[HostPort]) -> HostPort | None:
    """The first of the held ports that is in the way of the wanted ones.

    Two are in each other's way on the same address, and one on all addresses is in everybody's way: as the
    scheduler sees it (HostPortInfo.CheckConflict).
    """
    by_number: dict[tuple[str, int, int], list[HostPort]] = {}
    for each in held:
        by_number.setdefault(each.number, []).append(each)
    for port in wanted:
        for other in by_number.get(port.number, ()):
            if port.host_ip is None or other.host_ip is None or port.host_ip == other.host_ip:
                return other
    return None

"""ip-masq-agent and the clouds' variants of it.

Sources: kubernetes-sigs/ip-masq-agent README and `cmd/ip-masq-agent`: one chain on POSTROUTING for all that
isn't for the node itself; it returns for destinations in nonMasqueradeCIDRs and masquerades the rest,
whoever sends it. Azure's agent merges its ConfigMaps. Seen with packets: connections that come in are
masqueraded, too.
"""

from __future__ import annotations

from wellhead.ip import Family, IPNetwork
from wellhead.paths.codes import Code
from wellhead.paths.packet import Packet
from wellhead.paths.parties.base import Agent, Rewrite, named, note
from wellhead.paths.reading import Obj, command_line, is_true, networks, parsed, table, text, texts, within
from wellhead.paths.way import Decision
from wellhead.paths.world import World

_MAPS = ("ip-masq-agent", "azure-ip-masq-agent-config", "azure-ip-masq-agent-config-reconciled")
_DEFAULTS = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24",
    "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
)  # fmt: skip
_LINK_LOCAL = "169.254.0.0/16"


class IpMasqAgent(Agent):
    """The agent's chain."""

    def __init__(self, name: str, seen: str, spared: tuple[IPNetwork, ...], source: str, ipv6: bool) -> None:
        super().__init__(name, seen, {"nonMasqueradeCIDRs": ",".join(map(str, spared)), "from": source})
        self.spared, self.source, self.ipv6 = spared, source, ipv6

    def masquerades(self, packet: Packet) -> Rewrite | None:
        if packet.destination is None or (packet.family is Family.IPV6 and not self.ipv6):
            return None
        if within(packet.destination, self.spared):
            return None
        decided = Decision(
            object=self.source, field="nonMasqueradeCIDRs", value=",".join(map(str, self.spared)) or "[]"
        )
        return Rewrite(
            Code.AGENT_MASQUERADE, f"{packet.destination} is in no nonMasqueradeCIDR of {self.name}", decided
        )


def ip_masq_agent(world: World) -> IpMasqAgent | None:
    """The agent, as its DaemonSet or its ConfigMaps show it."""
    daemon = world.workload("ip-masq-agent", "azure-ip-masq-agent", image="ip-masq-agent")
    maps = [each for name in _MAPS if (each := world.get("ConfigMap", "", name)) is not None]
    if daemon is None and not maps:
        return None
    given: list[str] = []
    link_local, seen, ipv6 = False, False, False
    for each in maps:
        for document in table(each, "data").values():
            settings: Obj = parsed(document) if isinstance(document, str) else {}
            if settings:
                seen = True
                given += texts(settings, "nonMasqueradeCIDRs")
                link_local |= is_true(text(settings, "masqLinkLocal"))
    flags = command_line(daemon) if daemon is not None else {}
    ipv6 = is_true(flags.get("enable-ipv6", "false"))
    all_reserved = is_true(flags.get("nomasq-all-reserved-ranges", "false"))
    spared = given if seen else [*(_DEFAULTS if all_reserved else _DEFAULTS[:3])]
    if not link_local:
        spared = [*spared, _LINK_LOCAL]
    name = text(daemon, "metadata", "name") or "ip-masq-agent"
    title = ", ".join(named(each) for each in maps) if seen else "its defaults"
    found = IpMasqAgent(name, named(daemon) if daemon is not None else title, networks(spared), title, ipv6)
    if not seen:
        found.notes = (
            note(Code.ASSUMES_MODE_DEFAULT, f"{name}'s ConfigMap isn't there: its default list is taken."),
        )
    return found

"""flannel, by itself, in canal, and inside k3s.

Sources: flannel's `pkg/trafficmngr/iptables` (the rules of FLANNEL-POSTRTG, in their order),
`Documentation/ backends.md`; k3s' `pkg/agent/flannel`. Seen with packets: a connection that comes in is
left alone towards the node's own pods and masqueraded towards other nodes'.
"""

from __future__ import annotations

import contextlib

import msgspec

from wellhead.ip import Family, IPNetwork
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Network, Rewrite, named, note
from wellhead.paths.reading import Obj, command_line, is_true, networks, text, within
from wellhead.paths.way import Decision, Note
from wellhead.paths.world import World

_BACKEND = "flannel.alpha.coreos.com/backend-type"
_DEVICES = {
    "vxlan": "flannel.1",
    "wireguard": "flannel-wg",
    "ipip": "flannel.ipip",
    "udp": "flannel0",
    "ipsec": "",
}
"""The devices that carry packets to other nodes, whose address is the first of the node's podCIDR."""


class Flannel(Network):
    """flannel's bridge on a node, its backend between nodes, and its masquerade."""

    def __init__(
        self, world: World, seen: str, backend: str, pods: tuple[IPNetwork, ...], ip_masq: bool, assumed: bool
    ) -> None:
        facts = {"backend": backend, "Network": ",".join(map(str, pods)), "ip-masq": str(ip_masq).lower()}
        notes: tuple[Note, ...] = ()
        if assumed:
            notes = (note(Code.ASSUMES_BACKEND, f"flannel's backend can't be seen: {backend} is assumed."),)
        super().__init__("flannel", seen, facts, notes=notes)
        self.world, self.backend, self.pods, self.ip_masq = world, backend, pods, ip_masq

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.first_of_pod_cidr(node, family, 1, "the pods' bridge, cni0")

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        device = _DEVICES.get(self.backend)
        if device:
            found = self.first_of_pod_cidr(node, family, 0, f"{device}, flannel's {self.backend} device")
            return NodeAddress(found.address, found.because, (*found.notes, *self.notes))
        if self.backend in ("host-gw", "alloc", "ipsec"):
            return self.internal(node, family, f"flannel's {self.backend} routes between nodes")
        return super().towards_other_node(node, family, other)

    def masquerades(self, packet: Packet) -> Rewrite | None:
        pods = tuple(each for each in self.pods if each.version == packet.family)
        if not self.ip_masq or not pods or packet.destination is None:
            return None
        node = self.world.nodes.get(packet.node)
        own = node.pod_cidr_of(packet.family) if node else None
        to_pods, to_own = within(packet.destination, pods), own is not None and packet.destination in own
        from_pods = within(packet.source.address, pods)
        decided = Decision(object=self.recognised_by, field="--ip-masq", value="true")
        if from_pods and not to_pods:
            return Rewrite(
                Code.CNI_MASQUERADE, f"{packet.destination} is not in the pods' network {pods[0]}", decided
            )
        if not from_pods and to_pods and not to_own and packet.source.kind == "outside":
            because = "flannel masquerades what comes from outside the pods' network to another node's pods"
            return Rewrite(Code.CNI_MASQUERADES_INBOUND, because, decided)
        return None


def flannel(world: World) -> Flannel | None:
    """flannel, as its DaemonSet, its ConfigMap, or Nodes' annotations show it."""
    daemon = world.workload("kube-flannel-ds", "kube-flannel", "canal", "rke2-canal", image="flannel")
    config = world.config_map("kube-flannel-cfg", "canal-config", "rke2-canal-config")
    annotated = next((each for each in world.nodes.values() if _BACKEND in each.annotations), None)
    inside_k3s = next((each for each in world.nodes.values() if "+k3s" in each.kubelet_version), None)
    if daemon is None and config is None and annotated is None:
        if inside_k3s is None or _other_network_in_k3s(world):
            return None
        return Flannel(world, f"Node {inside_k3s.name} (k3s)", "vxlan", _pods(world, None), True, True)
    settings = _net_conf(config)
    backend = text(settings, "Backend", "Type").lower()
    if not backend and annotated is not None:
        backend = annotated.annotations[_BACKEND].lower()
    flags = command_line(daemon) if daemon is not None else {}
    ip_masq = is_true(flags.get("ip-masq", "false")) if daemon is not None else True
    if config is not None and text(config, "data", "masquerade"):
        ip_masq = is_true(text(config, "data", "masquerade"))  # canal's
    seen = next((named(each) for each in (daemon, config) if each is not None), "")
    seen = seen or f"Node {annotated.name if annotated else ''} ({_BACKEND})"
    return Flannel(world, seen, backend or "vxlan", _pods(world, settings), ip_masq, not backend)


def _net_conf(config: Obj | None) -> Obj:
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(text(config, "data", "net-conf.json"))
        return found if isinstance(found, dict) else {}
    return {}


def _pods(world: World, settings: Obj | None) -> tuple[IPNetwork, ...]:
    given = networks([each for each in (text(settings, "Network"), text(settings, "IPv6Network")) if each])
    if given:
        return given
    from wellhead.paths.parties.kube_proxy import kube_proxy

    proxy = kube_proxy(world)
    return proxy.configuration.cluster_cidrs if proxy is not None else world.pod_cidrs


def _other_network_in_k3s(world: World) -> bool:
    return world.workload("calico-node", "cilium", "kube-router", "weave-net", "antrea-agent") is not None

"""How this node recognises its own pods' packets: kube-proxy's --detect-local-mode, made a detector."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.services.node import Detector, FromBridge, FromInterfacePrefix, FromNetwork, LocalNode


class DetectLocalMode(enum.StrEnum):
    """kube-proxy's names."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True)
class NodeConfig:
    """What is configured about the node, beside what its Node object says."""

    detect_local_mode: DetectLocalMode = DetectLocalMode.CLUSTER_CIDR
    cluster_cidrs: tuple[IPNetwork, ...] = ()
    """The pods' networks, for ClusterCIDR. Without any there is no detector."""
    pod_bridge_interface: str = ""
    pod_interface_name_prefix: str = ""
    masquerade_all: bool = False
    primary_address: IPAddress | None = None
    """The primary address of its family, whatever the Node object says (--bind-address)."""
    preserve_client_ip: bool = False
    """Whether Services that don't say by annotation keep the address of clients outside."""

    def complete(self, node: LocalNode) -> LocalNode:
        """`node` with its detectors, its primary address and the policies that configuration decides."""
        found = ((family, self._detector(family, node)) for family in Family)
        addresses = node.addresses
        if self.primary_address is not None:
            others = (each for each in addresses if each != self.primary_address)
            addresses = (self.primary_address, *others)
        return dataclasses.replace(
            node,
            addresses=addresses,
            detectors=tuple((family, each) for family, each in found if each is not None),
            masquerade_all=self.masquerade_all,
            preserve_client_ip=self.preserve_client_ip,
            cluster_networks=self.cluster_cidrs,
        )

    def waits_for_node(self, node: LocalNode) -> bool:
        """Whether the node's pod networks are needed and not known yet."""
        return self.detect_local_mode is DetectLocalMode.NODE_CIDR and not node.pod_networks

    def _detector(self, family: Family, node: LocalNode) -> Detector | None:
        match self.detect_local_mode:
            case DetectLocalMode.BRIDGE_INTERFACE:
                return FromBridge(self.pod_bridge_interface)
            case DetectLocalMode.INTERFACE_NAME_PREFIX:
                return FromInterfacePrefix(self.pod_interface_name_prefix)
            case DetectLocalMode.NODE_CIDR:
                networks = node.pod_networks
            case DetectLocalMode.CLUSTER_CIDR:
                networks = self.cluster_cidrs
        return next((FromNetwork(each) for each in networks if each.version == family), None)

"""What kube-proxy was told: by its ConfigMap, its command line, or k3s' and RKE2's arguments on Nodes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from ipaddress import ip_network

import msgspec

from wellhead.ip import Family, IPNetwork
from wellhead.paths.codes import Code
from wellhead.paths.nodes import NodeFacts
from wellhead.paths.parties.base import named, note
from wellhead.paths.reading import (
    Obj,
    command_line,
    flags,
    is_true,
    networks,
    parsed,
    split,
    table,
    text,
    texts,
)
from wellhead.paths.way import Note
from wellhead.paths.world import World, image_tag

_K3S_PODS = "10.42.0.0/16"


@dataclass
class Configuration:
    """What kube-proxy was told, by whom, and what of it is assumed."""

    source: str = ""
    mode: str = ""
    detect_local_mode: str = ""
    cluster_cidrs: tuple[IPNetwork, ...] = ()
    cluster_cidr_given: bool = False
    recognises_pods: bool = False
    """Whether pods are assumed to be recognised, where nothing tells how."""
    masquerade_all: bool = False
    node_port_addresses: list[str] = field(default_factory=list)
    bridge: str = ""
    prefix: str = ""
    gates: dict[str, bool] = field(default_factory=dict)
    version: str = ""
    notes: tuple[Note, ...] = ()

    def take(self, settings: Obj, source: str) -> None:
        """Add what a configuration file says (KubeProxyConfiguration)."""
        self.source = source
        self.mode = text(settings, "mode") or self.mode
        self.detect_local_mode = text(settings, "detectLocalMode") or self.detect_local_mode
        if "clusterCIDR" in settings:
            self._cidr(text(settings, "clusterCIDR"))
        if "clusterCIDRs" in settings:
            self._cidr(",".join(texts(settings, "clusterCIDRs")))
        for part in ("iptables", "nftables", "ipvs", "linux"):
            self.masquerade_all |= is_true(text(settings, part, "masqueradeAll"))
        self.node_port_addresses = texts(settings, "nodePortAddresses") or self.node_port_addresses
        self.bridge = text(settings, "detectLocal", "bridgeInterface") or self.bridge
        self.prefix = text(settings, "detectLocal", "interfaceNamePrefix") or self.prefix
        self.gates |= {k: is_true(text(v)) for k, v in table(settings, "featureGates").items()}

    def take_flags(self, given: dict[str, str], source: str) -> None:
        """Add what a command line says; flags that a configuration file makes void are few and are taken."""
        self.source = self.source or source
        self.mode = given.get("proxy-mode", self.mode)
        self.detect_local_mode = given.get("detect-local-mode", self.detect_local_mode)
        if "cluster-cidr" in given:
            self._cidr(given["cluster-cidr"])
        self.masquerade_all |= is_true(given.get("masquerade-all", "false"))
        if "nodeport-addresses" in given:
            self.node_port_addresses = split(given["nodeport-addresses"])
        self.bridge = given.get("pod-bridge-interface", self.bridge)
        self.prefix = given.get("pod-interface-name-prefix", self.prefix)
        for each in split(given.get("feature-gates", "")):
            name, _, value = each.partition("=")
            self.gates[name] = is_true(value)

    def _cidr(self, value: str) -> None:
        self.cluster_cidrs, self.cluster_cidr_given = networks(split(value)), True


def configuration_of(world: World) -> Configuration | None:
    """The configuration as the objects show it; None if nothing of kube-proxy is seen."""
    configuration = Configuration()
    seen = _from_config_map(world, configuration)
    workload = world.workload("kube-proxy", image="kube-proxy")
    workload = workload or next(iter(world.pods_running("kube-proxy")), None)
    if workload is not None:
        configuration.take_flags(command_line(workload), named(workload))
        configuration.version = image_tag(workload, "kube-proxy")
        seen = True
    seen |= _from_k3s(world, configuration)
    return configuration if seen else None


def complete(world: World, configuration: Configuration) -> None:
    """Assume what is missing, and say so."""
    detects_by_cidr = (configuration.detect_local_mode or "ClusterCIDR") == "ClusterCIDR"
    if detects_by_cidr and not configuration.cluster_cidr_given:
        configuration.cluster_cidrs = _guessed(world)
        configuration.recognises_pods = not configuration.cluster_cidrs
        sentence = "clusterCIDR can't be seen: it is assumed to hold the pods' networks"
        if configuration.cluster_cidrs:
            sentence += f" ({', '.join(map(str, configuration.cluster_cidrs))})"
        do = "Read the ConfigMap kube-proxy."
        configuration.notes += (note(Code.ASSUMES_MODE_DEFAULT, f"{sentence}.", do=do),)
    elif not configuration.source:
        configuration.notes += (note(Code.ASSUMES_MODE_DEFAULT),)


def _guessed(world: World) -> tuple[IPNetwork, ...]:
    """The least networks that hold every node's podCIDRs, or every pod, by family."""
    result: list[IPNetwork] = []
    for family in Family:
        nets = [each for each in world.pod_cidrs if each.version == family]
        if not nets:
            bits = 24 if family is Family.IPV4 else 64
            pods = (each for each in world.pods if not each.host_network)
            own = family.of(address for pod in pods for address in pod.addresses)
            nets = [ip_network(f"{each}/{bits}", strict=False) for each in own]
        if nets:
            net = nets[0]
            while not all(each[0] in net for each in nets):
                net = net.supernet()
            result.append(net)
    return tuple(result)


def _from_config_map(world: World, configuration: Configuration) -> bool:
    found = world.config_map("kube-proxy", "kube-proxy-config")
    if found is None:
        return False
    for key in ("config.conf", "config", "kube-proxy-config.yaml", "kube-proxy.conf", "config.yaml"):
        if settings := parsed(text(found, "data", key)):
            configuration.take(settings, named(found))
            return True
    configuration.source = named(found)
    return True


def _from_k3s(world: World, configuration: Configuration) -> bool:
    """k3s and RKE2 run kube-proxy inside of their own program, and write its arguments on the Node."""
    for node in world.nodes.values():
        if "+k3s" not in node.kubelet_version and "+rke2" not in node.kubelet_version:
            continue
        given = flags(_node_args(node))
        cidr = given.get("cluster-cidr", "")
        if cidr:
            configuration.take_flags({"cluster-cidr": cidr}, f"Node {node.name} (k3s.io/node-args)")
        elif not configuration.cluster_cidr_given:
            configuration.take_flags({"cluster-cidr": _K3S_PODS}, f"Node {node.name} (k3s in kubeletVersion)")
            configuration.notes += (
                note(
                    Code.ASSUMES_MODE_DEFAULT,
                    f"k3s' flags can't be seen: its default cluster CIDR {_K3S_PODS} is assumed.",
                ),
            )
        for each in (value for name, value in given.items() if name == "kube-proxy-arg"):
            configuration.take_flags(flags([f"--{each}"]), f"Node {node.name} (k3s.io/node-args)")
        return True
    return False


def _node_args(node: NodeFacts) -> list[str]:
    with contextlib.suppress(msgspec.DecodeError, TypeError):
        found = msgspec.json.decode(node.annotations.get("k3s.io/node-args", ""))
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
    return []

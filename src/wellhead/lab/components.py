"""What runs where: every component's command line, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wellhead.lab import pki
from wellhead.lab.addresses import API_PORT, NODE_PORTS, AddressPlan
from wellhead.lab.cluster import IMAGE_CACHE, Cluster, ClusterSpec
from wellhead.lab.topology import CLOUD, CONTROL_PLANE, node_name

INHERITED = 3
"""The number of the one descriptor that a component may inherit."""

PRELOADS = {
    name: (f"wellhead.cli.{name.replace('-', '_')}", f"wellhead.{package}.main")
    for name, package in {
        "apiserver": "apiserver",
        "controller-manager": "controllers",
        "scheduler": "scheduler",
        "node-agent": "node",
        "proxy": "proxy",
        "cloud": "cloud",
    }.items()
}
"""The modules that a component will want to have loaded."""

Inheritance = Literal["api socket", "edge network"]


@dataclass(frozen=True)
class Component:
    """A process that the supervisor keeps running. `argv` is what follows `wellhead`."""

    machine: str
    name: str
    argv: tuple[str, ...]
    inherits: Inheritance | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.machine, self.name


def components(cluster: Cluster, spec: ClusterSpec, plan: AddressPlan) -> tuple[Component, ...]:
    """All components of a cluster, in the order in which it is best to start them."""
    nodes = range(1, spec.nodes + 1)
    return (
        _apiserver(cluster, plan),
        *(_node_agent(cluster, number, plan) for number in nodes),
        _controller_manager(cluster),
        _scheduler(cluster),
        *(_proxy(cluster, spec, number) for number in nodes),
        _cloud(cluster, plan),
    )


def _apiserver(cluster: Cluster, plan: AddressPlan) -> Component:
    certificates = cluster.pki
    return Component(
        CONTROL_PLANE,
        "apiserver",
        (
            "apiserver",
            *_flag("storage", f"sqlite:{cluster.directory / 'apiserver' / 'state.db'}"),
            *_flag("bind-address", plan.control_plane),
            *_flag("bind-address", "127.0.0.1"),
            *_flag("secure-port", API_PORT),
            *_flag("listen-fd", INHERITED),
            *_flag("advertise-address", plan.control_plane),
            *_flag("tls-cert-file", certificates / f"{pki.APISERVER}.crt"),
            *_flag("tls-private-key-file", certificates / f"{pki.APISERVER}.key"),
            *_flag("client-ca-file", certificates / f"{pki.CA}.crt"),
            *_flag("kubelet-client-certificate", certificates / "apiserver-kubelet-client.crt"),
            *_flag("kubelet-client-key", certificates / "apiserver-kubelet-client.key"),
            *_flag("service-account-key-file", certificates / pki.SERVICE_ACCOUNT_KEY),
            *_flag("service-cluster-ip-range", plan.services),
            *_flag("service-node-port-range", NODE_PORTS),
        ),
        inherits="api socket",
    )


def _controller_manager(cluster: Cluster) -> Component:
    return Component(
        CONTROL_PLANE,
        "controller-manager",
        (
            "controller-manager",
            *_flag("kubeconfig", cluster.kubeconfig("controller-manager")),
            *_flag("root-ca-file", cluster.pki / f"{pki.CA}.crt"),
        ),
    )


def _scheduler(cluster: Cluster) -> Component:
    argv = ("scheduler", *_flag("kubeconfig", cluster.kubeconfig("scheduler")))
    return Component(CONTROL_PLANE, "scheduler", argv)


def _node_agent(cluster: Cluster, number: int, plan: AddressPlan) -> Component:
    name = node_name(number)
    return Component(
        name,
        "node-agent",
        (
            "node-agent",
            *_flag("kubeconfig", cluster.kubeconfig(name)),
            *_flag("node-name", name),
            *_flag("node-ip", plan.node(number)),
            *_flag("external-ip", plan.node_external(number)),
            *_flag("pod-cidr", plan.node_pods(number)),
            *_flag("cluster-cidr", plan.pods),
            *_flag("node-cidr", plan.nodes),
            *_flag("root-dir", cluster.node_directory(name)),
            *_flag("image-dir", IMAGE_CACHE),
            *_flag("tls-cert-file", cluster.pki / f"{name}-server.crt"),
            *_flag("tls-private-key-file", cluster.pki / f"{name}-server.key"),
            *_flag("client-ca-file", cluster.pki / f"{pki.CA}.crt"),
        ),
    )


def _proxy(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    name = node_name(number)
    return Component(
        name,
        "proxy",
        (
            "proxy",
            *_flag("kubeconfig", cluster.kubeconfig("proxy")),
            *_flag("hostname-override", name),
            *_flag("proxy-mode", spec.proxy_mode),
            *_flag("detect-local-mode", "NodeCIDR"),
        ),
    )


def _cloud(cluster: Cluster, plan: AddressPlan) -> Component:
    return Component(
        CLOUD,
        "cloud",
        (
            "cloud",
            *_flag("kubeconfig", cluster.kubeconfig("cloud")),
            *_flag("vip-pool", plan.vips),
            *_flag("forwarder-netns", f"/proc/self/fd/{INHERITED}"),
            *_flag("proxy-address", plan.cloud),
            *_flag("image-dir", IMAGE_CACHE),
        ),
        inherits="edge network",
    )


def _flag(name: str, value: object) -> tuple[str, str]:
    return f"--{name}", str(value)

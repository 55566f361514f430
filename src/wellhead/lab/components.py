"""What runs where: every component's command line, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wellhead import ports
from wellhead.ip import bracketed
from wellhead.lab import kubeconfigs, pki
from wellhead.lab.addresses import DNS_PORT, NODE_PORTS, AddressPlan, IPAddress
from wellhead.lab.cgroups import cgroup_name
from wellhead.lab.cluster import IMAGE_CACHE, Cluster, ClusterSpec
from wellhead.lab.seclusion import Belongings, of_command_line
from wellhead.lab.topology import CLOUD, control_plane_name, control_plane_names, node_name

INHERITED = 3
"""The number of the first descriptor that a component may inherit."""

DNS = "dns"
"""The DNS servers, one on each control plane, which inherit sockets of their machines."""

HOST = "host"
"""In a machine's place: none of the cluster's, but where `wellhead up` was typed."""

AGENT, PROXY, POLICY = "node-agent", "proxy", "policy"
NODE = "node"
"""The process of a node's components, where they share one."""

NODE_PARTS = POLICY, AGENT, PROXY
"""Who can share a process."""

_MODULES = {
    name: (f"wellhead.cli.{name.replace('-', '_')}", f"wellhead.{package}.main")
    for name, package in {
        "apiserver": "apiserver",
        "controller-manager": "controllers",
        "scheduler": "scheduler",
        AGENT: "node",
        PROXY: "proxy",
        "cloud": "cloud",
        "dns": "dns",
        POLICY: "policy",
        "image-puller": "puller",
    }.items()
}
PRELOADS = {
    **_MODULES,
    "apiserver": (*_MODULES["apiserver"], "jsonschema_rs"),
    NODE: ("wellhead.cli.node", *(each for part in NODE_PARTS for each in _MODULES[part])),
}
"""The modules that a component will want to have loaded."""

Inheritance = Literal["api socket", "dns sockets", "edge network"]
Plans = Sequence[AddressPlan]
"""Those of the cluster's families, the primary one's first."""

_LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_ANY = {4: "0.0.0.0", 6: "[::]"}  # noqa: S104 - every address of a node that is a namespace
ETCD_PORT, _ETCD_PEER_PORT = 2379, 2380
_DNS_METRICS_PORT = 9153
_CLUSTER_DOMAIN = "cluster.local"
_AND = "+"  # between the command lines of those who share a process


@dataclass(frozen=True)
class Component:
    """A process that the supervisor keeps running, on a machine or HOST. `argv` follows `wellhead`."""

    machine: str
    name: str
    argv: tuple[str, ...]
    inherits: Inheritance | None = None
    belongings: Belongings | None = None
    """What it sees of the clusters' files; None: everything."""
    parts: tuple[str, ...] = ()
    """The components that share its process, if it is one of several."""

    @property
    def key(self) -> tuple[str, str]:
        return self.machine, self.name


_Maker = Callable[[Cluster, ClusterSpec, int], Component]
"""Makes the component of a machine by its number."""


def components(cluster: Cluster, spec: ClusterSpec) -> tuple[Component, ...]:
    """All components of a cluster, in the order in which it is best to start them."""
    nodes = range(1, spec.nodes + 1)
    plans = spec.plans
    control_planes = range(1, spec.control_planes + 1)
    early: tuple[_Maker, ...] = (_policy, _node_agent)  # policies before there are pods
    late: tuple[_Maker, ...] = (_proxy,)
    if spec.node_processes == "one":
        early, late = (_node,), ()
    found = (
        *(_etcd_member(cluster, spec, number) for number in control_planes if spec.storage == "etcd"),
        *(_apiserver(cluster, spec, number) for number in control_planes),
        *(make(cluster, spec, number) for make in early for number in nodes),
        *(_controller_manager(cluster, spec, number) for number in control_planes),
        *(_scheduler(cluster, spec, number) for number in control_planes),
        *(make(cluster, spec, number) for make in late for number in nodes),
        *(_dns(cluster, spec, number) for number in control_planes),
        _cloud(cluster, plans),
        *([_image_puller(cluster, spec)] if spec.pull else []),
    )
    kept = {name: [cluster.node_directory(name)] for name in map(node_name, nodes)}
    for name in control_plane_names(spec.control_planes):
        etcd = spec.storage == "etcd"
        kept[name] = [cluster.etcd_directory(name) if etcd else cluster.apiserver_directory]
        if spec.audit_policy:
            kept[name].append(cluster.audit_directory(name))

    def secluded(component: Component) -> Component:
        if component.machine == HOST:
            return component
        directories = kept.get(component.machine, [])
        return replace(component, belongings=of_command_line(cluster.root, component.argv, directories))

    return tuple(secluded(component) for component in found if component.name not in spec.without)


def _etcd_member(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    name, certificates = control_plane_name(number), cluster.pki / pki.ETCD
    members = {
        control_plane_name(each): bracketed(spec.plans[0].control_plane_of(each))
        for each in range(1, spec.control_planes + 1)
    }
    client, peer = (f"https://{members[name]}:{port}" for port in (ETCD_PORT, _ETCD_PEER_PORT))
    peers = ",".join(f"{each}=https://{address}:{_ETCD_PEER_PORT}" for each, address in members.items())
    secured = (
        ("cert-file", certificates / f"{pki.ETCD_MEMBER}.crt"),
        ("key-file", certificates / f"{pki.ETCD_MEMBER}.key"),
        ("trusted-ca-file", certificates / f"{pki.CA}.crt"),
    )
    return Component(
        name,
        "etcd-member",
        (
            "etcd-member",
            *_flag("image-dir", IMAGE_CACHE),
            *_flag("name", name),
            *_flag("data-dir", cluster.etcd_directory(name) / "data"),
            *_flag("listen-client-urls", client),
            *_flag("advertise-client-urls", client),
            *_flag("listen-peer-urls", peer),
            *_flag("initial-advertise-peer-urls", peer),
            *_flag("initial-cluster", peers),
            *_flag("initial-cluster-token", cluster.name),
            *(part for flag, path in secured for part in _flag(flag, path)),
            *(part for flag, path in secured for part in _flag(f"peer-{flag}", path)),
            "--client-cert-auth",
            "--peer-client-cert-auth",
            *_flag("logger", "zap"),
            *_flag("log-level", "warn"),
        ),
    )


def _storage(cluster: Cluster, spec: ClusterSpec) -> tuple[str, ...]:
    if spec.storage == "sqlite":
        return _flag("storage", f"sqlite:{cluster.apiserver_directory / 'state.db'}")
    certificates, plan = cluster.pki / pki.ETCD, spec.plans[0]
    numbers = range(1, spec.control_planes + 1)
    endpoints = (f"https://{bracketed(plan.control_plane_of(number))}:{ETCD_PORT}" for number in numbers)
    return (
        *_flag("storage", f"etcd={_listed(endpoints)}"),
        *_flag("etcd-cafile", certificates / f"{pki.CA}.crt"),
        *_flag("etcd-certfile", certificates / f"{pki.ETCD_CLIENT}.crt"),
        *_flag("etcd-keyfile", certificates / f"{pki.ETCD_CLIENT}.key"),
    )


def _apiserver(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    certificates, plans = cluster.pki, spec.plans
    front_proxy = cluster.pki / pki.FRONT_PROXY
    return Component(
        control_plane_name(number),
        "apiserver",
        (
            "apiserver",
            *_storage(cluster, spec),
            *_flags("bind-address", (plan.control_plane_of(number) for plan in plans)),
            *_flags("bind-address", (_LOOPBACK[plan.nodes.version] for plan in plans)),
            *_flag("secure-port", ports.API),
            *_flag("listen-fd", INHERITED),
            *_flag("advertise-address", plans[0].control_plane_of(number)),
            *_flag("tls-cert-file", certificates / f"{pki.APISERVER}.crt"),
            *_flag("tls-private-key-file", certificates / f"{pki.APISERVER}.key"),
            *_flag("client-ca-file", certificates / f"{pki.CA}.crt"),
            *_flag("kubelet-client-certificate", certificates / "apiserver-kubelet-client.crt"),
            *_flag("kubelet-client-key", certificates / "apiserver-kubelet-client.key"),
            *_flag("service-account-key-file", certificates / pki.SERVICE_ACCOUNT_KEY),
            *_flag(
                "proxy-client-cert-file", certificates / pki.FRONT_PROXY / f"{pki.FRONT_PROXY_CLIENT}.crt"
            ),
            *_flag("proxy-client-key-file", front_proxy / f"{pki.FRONT_PROXY_CLIENT}.key"),
            *_flag("requestheader-client-ca-file", front_proxy / f"{pki.CA}.crt"),
            *_flag("requestheader-allowed-names", pki.FRONT_PROXY_CLIENT),
            *_flag("service-cluster-ip-range", _listed(plan.services for plan in plans)),
            *_flag("service-node-port-range", NODE_PORTS),
            *_audit(cluster, spec, number),
        ),
        inherits="api socket",
    )


def _audit(cluster: Cluster, spec: ClusterSpec, number: int) -> tuple[str, ...]:
    if not spec.audit_policy:
        return ()
    return (
        *_flag("audit-policy-file", cluster.audit / spec.audit_policy),
        *_flag("audit-log-path", cluster.audit_directory(control_plane_name(number)) / "audit.log"),
        *_flag("audit-log-mode", "batch"),
        *_flag("audit-log-maxbackup", 2),
    )


def _controller_manager(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    return Component(
        control_plane_name(number),
        "controller-manager",
        (
            "controller-manager",
            *_flag("kubeconfig", cluster.kubeconfig(kubeconfigs.of("controller-manager", number))),
            *_flag("root-ca-file", cluster.pki / f"{pki.CA}.crt"),
            *_flag("cluster-signing-cert-file", cluster.pki / f"{pki.CA}.crt"),
            *_flag("cluster-signing-key-file", cluster.pki / f"{pki.CA}.key"),
            *_elected(spec),
        ),
    )


def _scheduler(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    kubeconfig = cluster.kubeconfig(kubeconfigs.of("scheduler", number))
    argv = ("scheduler", *_flag("kubeconfig", kubeconfig), *_elected(spec))
    return Component(control_plane_name(number), "scheduler", argv)


def _elected(spec: ClusterSpec) -> tuple[str, ...]:
    return ("--leader-elect",) if spec.control_planes > 1 else ()


def _node_agent(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    name, plans = node_name(number), spec.plans
    return Component(
        name,
        "node-agent",
        (
            "node-agent",
            *_flag("kubeconfig", cluster.kubeconfig(name)),
            *_flag("network-kubeconfig", cluster.kubeconfig("node-network")),
            *_flag("storage-kubeconfig", cluster.kubeconfig(f"{name}-storage")),
            *_flag("node-name", name),
            *_flag("node-ip", _listed(plan.node(number) for plan in plans)),
            *_flag("external-ip", _listed(plan.node_external(number) for plan in plans)),
            *_flag("pod-cidr", _listed(plan.node_pods(number) for plan in plans)),
            *_flag("cluster-cidr", _listed(plan.pods for plan in plans)),
            *_flag("node-cidr", _listed(plan.nodes for plan in plans)),
            *_flag("root-dir", cluster.node_directory(name)),
            *_flag("image-dir", IMAGE_CACHE),
            *_flag("tls-cert-file", cluster.pki / f"{name}-server.crt"),
            *_flag("tls-private-key-file", cluster.pki / f"{name}-server.key"),
            *_flag("client-ca-file", cluster.pki / f"{pki.CA}.crt"),
            *_flags("cluster-dns", (plan.cluster_dns for plan in plans)),
            *_flag("cluster-domain", _CLUSTER_DOMAIN),
            *_flags("allow-spoofing", spec.spoofing),
            *_flag("cgroup", cgroup_name(cluster.name, name)),
            *_flag("pod-manifest-path", cluster.node_directory(name) / "manifests"),
            *(_flag("config", cluster.settings_file(spec.settings)) if spec.settings else ()),
            *(("--pull",) if spec.pull else ()),
        ),
    )


def _proxy(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    name = node_name(number)
    return Component(
        name,
        "proxy",
        (
            "proxy",
            *_flag("kubeconfig", cluster.kubeconfig(f"{name}-proxy")),
            *_flag("hostname-override", name),
            *_flag("proxy-mode", spec.proxy_mode),
            *_flag("detect-local-mode", "NodeCIDR"),
            *_flag("healthz-bind-address", f"{_ANY[spec.plans[0].nodes.version]}:{ports.PROXY_HEALTH}"),
        ),
    )


def _policy(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    name = node_name(number)
    return Component(
        name,
        "policy",
        (
            "policy",
            *_flag("kubeconfig", cluster.kubeconfig(f"{name}-policy")),
            *_flag("node-name", name),
            *_flags("pod-cidr", (plan.node_pods(number) for plan in spec.plans)),
        ),
    )


def _node(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    made = (make(cluster, spec, number) for make in (_policy, _node_agent, _proxy))
    parts = [part for part in made if part.name not in spec.without]
    words = [word for part in parts for word in (_AND, *part.argv)]
    return Component(node_name(number), NODE, (NODE, *words[1:]), parts=tuple(part.name for part in parts))


def _dns(cluster: Cluster, spec: ClusterSpec, number: int) -> Component:
    plans = spec.plans
    addresses = dns_addresses(spec, number)
    return Component(
        control_plane_name(number),
        DNS,
        (
            "dns",
            *_flag("kubeconfig", cluster.kubeconfig(kubeconfigs.of("dns", number))),
            *_flag("cluster-domain", _CLUSTER_DOMAIN),
            *_flags("bind-address", addresses),
            *_flag("port", DNS_PORT),
            *_flags("listen-fd", range(INHERITED, INHERITED + 2 * len(addresses))),  # UDP and TCP of each
            *_flags("service-cluster-ip", (plan.cluster_dns for plan in plans)),
            *_flag("number", number),
            *_flag("metrics-bind-address", f"{bracketed(addresses[0])}:{_DNS_METRICS_PORT}"),
        ),
        inherits="dns sockets",
    )


def dns_addresses(spec: ClusterSpec, number: int) -> list[IPAddress]:
    """Where the DNS server of a control plane is asked, the primary family's address first."""
    return [plan.control_plane_of(number) for plan in spec.plans]


def _cloud(cluster: Cluster, plans: Plans) -> Component:
    return Component(
        CLOUD,
        "cloud",
        (
            "cloud",
            *_flag("kubeconfig", cluster.kubeconfig("cloud")),
            *_flags("vip-pool", (plan.vips for plan in plans)),
            *_flag("forwarder-netns", f"/proc/self/fd/{INHERITED}"),
            *_flags("proxy-address", (plan.cloud for plan in plans)),
            "--proxy-dials-endpoints",
            *_flag("image-dir", IMAGE_CACHE),
        ),
        inherits="edge network",
    )


def _image_puller(cluster: Cluster, spec: ClusterSpec) -> Component:
    # The host has no port to spare for its health: there may be one for each cluster.
    argv = (
        "image-puller",
        *_flag("kubeconfig", cluster.kubeconfig("image-puller")),
        *_flag("image-dir", IMAGE_CACHE),
        *(_flag("registries", spec.registries) if spec.registries else ()),
        *_flag("healthz-bind-address", "127.0.0.1:0"),
    )
    return Component(HOST, "image-puller", argv)


def _flag(name: str, value: object) -> tuple[str, str]:
    return f"--{name}", str(value)


def _flags(name: str, values: Iterable[object]) -> tuple[str, ...]:
    """A flag for each value."""
    return tuple(part for value in values for part in _flag(name, value))


def _listed(values: Iterable[object]) -> str:
    """A single flag's value for one address or network of each family."""
    return ",".join(str(value) for value in values)

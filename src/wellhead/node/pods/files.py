"""The files of /etc that a pod gets from its node: hosts, hostname, resolv.conf."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.node.pods import spec

_NODE_RESOLV_CONF = Path("/etc/resolv.conf")
_NODE_HOSTS = Path("/etc/hosts")
# As the kubelet has it (pkg/apis/core/validation).
_MOST_SERVERS = 3
_MOST_SEARCHED = 32
_LONGEST_SEARCHED = 253
_LONGEST_SEARCH = 2048


@dataclass(frozen=True)
class Dns:
    """The cluster's own DNS: its servers' addresses (none: it has no DNS) and its domain."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def write(directory: Path, pod: Obj, ips: Sequence[str], dns: Dns) -> None:
    """Write them into `directory`. `ips` are the pod's addresses."""
    directory.mkdir(exist_ok=True)
    name = socket.gethostname() if spec.host_network(pod) else spec.kernel_hostname(pod, dns.domain)
    (directory / "hostname").write_text(f"{name}\n")
    (directory / "hosts").write_text(hosts(pod, ips, dns.domain, _of_node(_NODE_HOSTS)))
    (directory / "resolv.conf").write_text(resolv_conf(pod, dns, _of_node(_NODE_RESOLV_CONF)))


def beyond_limits(pod: Obj, dns: Dns) -> list[str]:
    """What its resolv.conf leaves out, in the kubelet's words."""
    return _resolver(pod, dns, _of_node(_NODE_RESOLV_CONF)).omissions


def _of_node(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def hosts(pod: Obj, ips: Sequence[str], domain: str = "cluster.local", node_has: str = "") -> str:
    """/etc/hosts; with the host's network, what the node has."""
    if spec.host_network(pod):
        lines = ["# Kubernetes-managed hosts file (host network).", *node_has.splitlines()]
    else:
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        name, subdomain = spec.hostname(pod), pod["spec"].get("subdomain")
        if subdomain and not pod["spec"].get("hostnameOverride"):
            full = f"{name}.{subdomain}.{pod['metadata']['namespace']}.svc.{domain}"
            lines += [f"{ip}\t{full}\t{name}" for ip in ips]
        else:
            lines += [f"{ip}\t{name}" for ip in ips]
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join([alias["ip"], *(alias.get("hostnames") or ())]) for alias in aliases]
    return "\n".join(lines) + "\n"


def resolv_conf(pod: Obj, dns: Dns, node_has: str) -> str:
    """/etc/resolv.conf by dnsPolicy and dnsConfig. Without cluster DNS, ClusterFirst is Default."""
    resolver = _resolver(pod, dns, node_has)
    lines = [f"search {' '.join(resolver.search)}"] if resolver.search else []
    lines += [f"nameserver {server}" for server in resolver.servers]
    lines += [f"options {' '.join(resolver.options)}"] if resolver.options else []
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Resolver:
    servers: list[str]
    search: list[str]
    options: list[str]
    omissions: list[str]
    """Sentences about what there was no room for."""


def _resolver(pod: Obj, dns: Dns, node_has: str) -> _Resolver:
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    servers, search, options = _parse(node_has)
    if policy == "None":
        servers, search, options = [], [], []
    elif dns.servers and (
        policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.host_network(pod))
    ):
        namespace = pod["metadata"]["namespace"]
        own = [f"{namespace}.svc.{dns.domain}", f"svc.{dns.domain}", dns.domain]
        servers, search, options = list(dns.servers), [*own, *search], ["ndots:5"]
    config = pod["spec"].get("dnsConfig") or {}
    servers = _unique([*servers, *(config.get("nameservers") or ())])
    search = _unique([*search, *(config.get("searches") or ())])
    for option in config.get("options") or ():
        name = option["name"]
        options = [each for each in options if each.partition(":")[0] != name]
        options.append(f"{name}:{option['value']}" if option.get("value") is not None else name)
    omissions = []
    if (fits := servers[:_MOST_SERVERS]) != servers:
        servers = fits
        omissions.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver "
            f"line is: {' '.join(servers)}"
        )
    if (fits := _fitting_search(search)) != search:
        search = fits
        omissions.append(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line "
            f"is: {' '.join(search)}"
        )
    return _Resolver(servers, search, options, omissions)


def _fitting_search(search: Sequence[str]) -> list[str]:
    """Those that resolvers take: glibc 2.28 aborts at a longer one."""
    found = [each for each in search[:_MOST_SEARCHED] if len(each) <= _LONGEST_SEARCHED]
    while len(" ".join(found)) > _LONGEST_SEARCH:
        found.pop()
    return found


def _parse(text: str) -> tuple[list[str], list[str], list[str]]:
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        keyword, *rest = line.split() or [""]
        if keyword == "nameserver":
            servers += rest[:1]
        elif keyword in ("search", "domain"):
            search = rest
        elif keyword == "options":
            options += rest
    return servers, search, options


def _unique(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(items))

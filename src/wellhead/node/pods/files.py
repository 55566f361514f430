"""The files of /etc that a pod gets from its node: hosts, hostname, resolv.conf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.node.pods import spec

_NODE_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True)
class Dns:
    """The cluster's own DNS: its servers' addresses (none: it has no DNS) and its domain."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def write(directory: Path, pod: Obj, ips: Sequence[str], dns: Dns) -> None:
    """Write them into `directory`. `ips` are the pod's addresses."""
    directory.mkdir(exist_ok=True)
    name = (
        Path("/proc/sys/kernel/hostname").read_text().strip()
        if spec.host_network(pod)
        else spec.hostname(pod)
    )
    (directory / "hostname").write_text(f"{name}\n")
    (directory / "hosts").write_text(hosts(pod, ips, dns.domain))
    node_has = _NODE_RESOLV_CONF.read_text() if _NODE_RESOLV_CONF.exists() else ""
    (directory / "resolv.conf").write_text(resolv_conf(pod, dns, node_has))


def hosts(pod: Obj, ips: Sequence[str], domain: str = "cluster.local") -> str:
    """/etc/hosts. With the host's network it has only what every host has."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    if not spec.host_network(pod):
        name, subdomain = spec.hostname(pod), pod["spec"].get("subdomain")
        if subdomain and not pod["spec"].get("hostnameOverride"):
            domain = f"{subdomain}.{pod['metadata']['namespace']}.svc.{domain}"
            lines += [f"{ip}\t{name}.{domain}\t{name}" for ip in ips]
        else:
            lines += [f"{ip}\t{name}" for ip in ips]
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join([alias["ip"], *(alias.get("hostnames") or ())]) for alias in aliases]
    return "\n".join(lines) + "\n"


def resolv_conf(pod: Obj, dns: Dns, node_has: str) -> str:
    """/etc/resolv.conf by dnsPolicy and dnsConfig. Without cluster DNS, ClusterFirst is Default."""
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
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


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

"""KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1: every field, and the flag that also sets it.

Source: k8s.io/kube-proxy/config/v1alpha1 of Kubernetes 1.37, its defaults, and kube-proxy's flags. Defaults
are upstream's, but for minSyncPeriod (1s there): a burst of changes is gathered while a sync runs.

Values are kept as they are written, addresses as strings: `resolve.py` reads them.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wellhead.api.duration import Duration

API_VERSION = "kubeproxy.config.k8s.io/v1alpha1"
KIND = "KubeProxyConfiguration"

_INITIALISMS = {"Cidr": "CIDR", "Cidrs": "CIDRs", "Arp": "ARP", "Dsr": "DSR", "Ip": "IP"}
_IPVS = "there is no ipvs mode here"
_WINDOWS = "it is for Windows"
_JSON = "requests and answers are JSON"
_NO_LIMIT = "requests are not limited: a proxy makes few"
_LOGS = "log lines go to standard error as they come"


def setting(
    flag: str = "", help: str = "", *, unused: str = "", zero_counts: bool = False, **bounds: Any
) -> msgspec.Meta:
    """Describe a field: the flag that sets it too, and whether it does anything.

    `unused` says why a value other than the default has no effect. In a file, a field's zero value (empty, 0,
    0s) stands for its default, unless `zero_counts` (those that are pointers in Go).
    """
    return msgspec.Meta(
        description=help, extra={"flag": flag, "unused": unused, "zero_counts": zero_counts}, **bounds
    )


def field_name(name: str) -> str:
    """The field's name in the file: `cluster_cidr` is clusterCIDR."""
    first, *rest = (each for each in name.split("_"))
    return first + "".join(_INITIALISMS.get(each.title(), each.title()) for each in rest)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename=field_name):
    """A part of the configuration. A field that it does not have is an error."""


class ClientConnection(Section, frozen=True):
    """How to talk to the API server."""

    kubeconfig: Annotated[
        str, setting("kubeconfig", "How to reach the API server. [default: the pod's service account]")
    ] = ""
    accept_content_types: Annotated[str, setting(unused=_JSON)] = ""
    content_type: Annotated[str, setting("kube-api-content-type", unused=_JSON)] = (
        "application/vnd.kubernetes.protobuf"
    )
    qps: Annotated[float, setting("kube-api-qps", unused=_NO_LIMIT)] = 5.0
    burst: Annotated[int, setting("kube-api-burst", unused=_NO_LIMIT, ge=0)] = 10


class TextLogOptions(Section, frozen=True):
    """Buffering of klog's text format."""

    split_stream: Annotated[bool, setting("log-text-split-stream", unused=_LOGS)] = False
    info_buffer_size: Annotated[str | int, setting("log-text-info-buffer-size", unused=_LOGS)] = "0"


class JsonLogOptions(Section, frozen=True):
    """Buffering of klog's JSON format."""

    split_stream: Annotated[bool, setting("log-json-split-stream", unused=_LOGS)] = False
    info_buffer_size: Annotated[str | int, setting("log-json-info-buffer-size", unused=_LOGS)] = "0"


class LogOptions(Section, frozen=True):
    """Options of the log formats."""

    text: TextLogOptions = TextLogOptions()
    json: JsonLogOptions = JsonLogOptions()


class Logging(Section, frozen=True):
    """What is logged, and how a line is written. Flags win over the file here, as upstream."""

    format: Annotated[str, setting("logging-format", "text or json; as --log-format.")] = "text"
    flush_frequency: Annotated[str | int, setting("log-flush-frequency", unused=_LOGS)] = "5s"
    verbosity: Annotated[int, setting("v", "klog's verbosity; 4 and above: debug.", ge=0)] = 0
    vmodule: Annotated[list[Any], setting("vmodule", unused="verbosity is the whole process's")] = []
    options: LogOptions = LogOptions()


class IPTables(Section, frozen=True):
    """For iptables mode."""

    masquerade_bit: Annotated[
        int,
        setting(
            "iptables-masquerade-bit",
            "The bit of the packet mark that asks for masquerading.",
            zero_counts=True,
            ge=0,
            le=31,
        ),
    ] = 14
    masquerade_all: Annotated[
        bool, setting("masquerade-all", "Replace the source of all traffic to ClusterIPs.")
    ] = False
    localhost_node_ports: Annotated[
        bool,
        setting("iptables-localhost-nodeports", "Answer IPv4 node ports on loopback.", zero_counts=True),
    ] = True
    snat_node_internal_ip: Annotated[
        bool, setting(unused="masquerading takes the outgoing interface's address")
    ] = False
    sync_period: Annotated[
        Duration, setting("iptables-sync-period", "How often to put back rules that others removed.")
    ] = Duration(30)
    min_sync_period: Annotated[
        Duration, setting("iptables-min-sync-period", "The least time between two syncs.")
    ] = Duration(0)


class NFTables(Section, frozen=True):
    """For nftables mode."""

    masquerade_bit: Annotated[int, setting(zero_counts=True, ge=0, le=31)] = 14
    masquerade_all: Annotated[bool, setting("masquerade-all")] = False
    sync_period: Annotated[Duration, setting("iptables-sync-period")] = Duration(30)
    min_sync_period: Annotated[Duration, setting("iptables-min-sync-period")] = Duration(0)


class IPVS(Section, frozen=True):
    """For ipvs mode, which is not offered."""

    sync_period: Annotated[Duration, setting("ipvs-sync-period", unused=_IPVS)] = Duration(30)
    min_sync_period: Annotated[Duration, setting("ipvs-min-sync-period", unused=_IPVS)] = Duration(0)
    scheduler: Annotated[str, setting("ipvs-scheduler", unused=_IPVS)] = ""
    exclude_cidrs: Annotated[list[str], setting("ipvs-exclude-cidrs", unused=_IPVS)] = []
    strict_arp: Annotated[bool, setting("ipvs-strict-arp", unused=_IPVS)] = False
    tcp_timeout: Annotated[Duration, setting("ipvs-tcp-timeout", unused=_IPVS)] = Duration(0)
    tcp_fin_timeout: Annotated[Duration, setting("ipvs-tcpfin-timeout", unused=_IPVS)] = Duration(0)
    udp_timeout: Annotated[Duration, setting("ipvs-udp-timeout", unused=_IPVS)] = Duration(0)


class Winkernel(Section, frozen=True):
    """For Windows."""

    network_name: Annotated[str, setting(unused=_WINDOWS)] = ""
    source_vip: Annotated[str, setting(unused=_WINDOWS)] = ""
    enable_dsr: Annotated[bool, setting(unused=_WINDOWS)] = False
    root_hns_endpoint_name: Annotated[str, setting(unused=_WINDOWS)] = ""
    forward_health_check_vip: Annotated[bool, setting(unused=_WINDOWS)] = False


class Conntrack(Section, frozen=True):
    """The kernel's connection tracking. A timeout of 0 is left as it is."""

    max_per_core: Annotated[
        int,
        setting(
            "conntrack-max-per-core",
            "Connections to have room for, by core; 0: as it is.",
            zero_counts=True,
            ge=0,
        ),
    ] = 32768
    min: Annotated[
        int, setting("conntrack-min", "Connections to have room for at least.", zero_counts=True, ge=0)
    ] = 131072
    tcp_established_timeout: Annotated[
        Duration, setting("conntrack-tcp-timeout-established", "0: as it is.", zero_counts=True)
    ] = Duration(86400)
    tcp_close_wait_timeout: Annotated[
        Duration, setting("conntrack-tcp-timeout-close-wait", "0: as it is.", zero_counts=True)
    ] = Duration(3600)
    tcp_be_liberal: Annotated[
        bool, setting("conntrack-tcp-be-liberal", "Don't call out-of-window packets INVALID.")
    ] = False
    udp_timeout: Annotated[Duration, setting("conntrack-udp-timeout", "0: as it is.")] = Duration(0)
    udp_stream_timeout: Annotated[Duration, setting("conntrack-udp-timeout-stream", "0: as it is.")] = (
        Duration(0)
    )


class DetectLocal(Section, frozen=True):
    """How this node's pods are recognised, for the modes that need to be told."""

    bridge_interface: Annotated[
        str, setting("pod-bridge-interface", "The pods' bridge, for BridgeInterface.")
    ] = ""
    interface_name_prefix: Annotated[
        str, setting("pod-interface-name-prefix", "For InterfaceNamePrefix.")
    ] = ""


class KubeProxyConfiguration(Section, frozen=True):
    """The whole file."""

    api_version: str = API_VERSION
    kind: str = KIND
    feature_gates: Annotated[
        dict[str, bool], setting("feature-gates", "Accepted, and ignored with a warning.")
    ] = {}
    client_connection: ClientConnection = ClientConnection()
    logging: Logging = Logging()
    hostname_override: Annotated[
        str, setting("hostname-override", "This node's name. [default: the host name]")
    ] = ""
    bind_address: Annotated[
        str, setting("bind-address", "This node's primary address, in place of its Node object's.")
    ] = "0.0.0.0"  # noqa: S104 - means: as the Node object says
    healthz_bind_address: Annotated[
        str,
        setting(
            "healthz-bind-address", "IP:PORT of /healthz and /livez; empty: nowhere. [default: 0.0.0.0:10256]"
        ),
    ] = ""
    metrics_bind_address: Annotated[
        str,
        setting(
            "metrics-bind-address",
            "IP:PORT of /metrics, /proxyMode and /configz; empty: nowhere. [default: 127.0.0.1:10249]",
        ),
    ] = ""
    bind_address_hard_fail: Annotated[
        bool, setting("bind-address-hard-fail", "End if one of these two can't be had.")
    ] = False
    enable_profiling: Annotated[
        bool, setting("profiling", "Offer /debug/profile and /debug/tasks beside /metrics.")
    ] = False
    show_hidden_metrics_for_version: Annotated[
        str, setting("show-hidden-metrics-for-version", unused="no metric is hidden")
    ] = ""
    mode: Annotated[str, setting("proxy-mode", "iptables or nftables.")] = "iptables"
    iptables: IPTables = IPTables()
    ipvs: IPVS = IPVS()
    nftables: NFTables = NFTables()
    winkernel: Winkernel = Winkernel()
    detect_local_mode: Annotated[
        str,
        setting("detect-local-mode", "How this node's pods are recognised, whose source is kept."),
    ] = "ClusterCIDR"
    detect_local: DetectLocal = DetectLocal()
    cluster_cidr: Annotated[
        str, setting("cluster-cidr", "The pods' networks, one of each family, for ClusterCIDR.")
    ] = ""
    node_port_addresses: Annotated[
        list[str],
        setting(
            "nodeport-addresses",
            "Where node ports answer: networks, “all”, “localhost”; or “primary”, the node's own addresses."
            " [default: all; primary in nftables mode]",
        ),
    ] = []
    oom_score_adj: Annotated[
        int,
        setting(
            "oom-score-adj",
            "How soon the kernel ends this process when memory runs out.",
            zero_counts=True,
            ge=-1000,
            le=1000,
        ),
    ] = -999
    conntrack: Conntrack = Conntrack()
    config_sync_period: Annotated[
        Duration, setting("config-sync-period", unused="objects are watched, not read again")
    ] = Duration(900)
    port_range: Annotated[str, setting(unused="no mode uses it any more")] = ""
    windows_run_as_service: Annotated[bool, setting(unused=_WINDOWS)] = False

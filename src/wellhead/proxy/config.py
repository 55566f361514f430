"""What the proxy works with, once its configuration has been read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wellhead import ports
from wellhead.proxy.backends.iptables.commands import Variant
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.marks import Marks
from wellhead.proxy.mode import ProxyMode
from wellhead.proxy.node_config import NodeConfig
from wellhead.proxy.symmetric_return.settings import ReturnSettings
from wellhead.proxy.sysctls import ConntrackSettings
from wellhead.services.node_ports import NodePortAddresses

Address = tuple[str, int]


@dataclass(frozen=True)
class Config:
    """Everything that `wellhead proxy` can be told. Times in seconds."""

    node_name: str
    kubeconfig: str | None = None
    """None: $KUBECONFIG, else the credentials of the pod that this runs in."""
    master: str | None = None
    mode: ProxyMode = "iptables"
    node: NodeConfig = field(default_factory=NodeConfig)
    node_port_addresses: NodePortAddresses = ()
    iptables_variant: Variant = "auto"
    marks: Marks = field(default_factory=Marks)
    localhost_node_ports: bool = True
    """Whether IPv4 node ports answer on loopback addresses, in iptables mode."""
    source_claims: SourceClaims = "auto"
    """Which connections keep their source whatever masquerades behind the proxy."""
    symmetric_return: ReturnSettings = field(default_factory=ReturnSettings)
    """For Services that keep their clients' addresses."""
    sync_period: float = 30.0
    """How often the rules are compared with the kernel's."""
    min_sync_period: float = 0.0
    """The least time between the starts of two syncs."""
    metrics_address: Address | None = ("127.0.0.1", ports.PROXY_METRICS)
    health_address: Address | None = ("0.0.0.0", ports.PROXY_HEALTH)  # noqa: S104 - load balancers ask it from outside
    bind_hard_fail: bool = False
    """Whether one of these two that can't be had ends the proxy."""
    profiling: bool = False
    conntrack: ConntrackSettings = field(default_factory=ConntrackSettings)
    oom_score: int | None = None
    """For /proc/self/oom_score_adj; None: as it is."""
    file: Path | None = None
    """The file that this was read from: once its content changes, the proxy ends, to be started again."""
    document: dict[str, Any] = field(default_factory=dict, compare=False)
    """All of it as a KubeProxyConfiguration, for /configz."""

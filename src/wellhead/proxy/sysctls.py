"""The few kernel settings that a proxy makes. All are per network namespace: its own, never another's."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_NET = Path("/proc/sys/net")


@dataclass(frozen=True)
class ConntrackSettings:
    """What kube-proxy's --conntrack-* flags set. 0 or None: leave as it is. Times in seconds."""

    max_per_core: int = 32768
    min: int = 131072
    tcp_established_timeout: int = 86400
    tcp_close_wait_timeout: int = 3600
    """Half-closed connections: the kernel's 60 s are too short for peers that take their time."""
    udp_timeout: int = 0
    udp_stream_timeout: int = 0
    tcp_be_liberal: bool = False

    def values(self) -> dict[str, int]:
        """The wanted values by their names in net/netfilter."""
        wanted = {
            "nf_conntrack_max": max(self.max_per_core * (os.cpu_count() or 1), self.min)
            if self.max_per_core
            else 0,
            "nf_conntrack_tcp_timeout_established": self.tcp_established_timeout,
            "nf_conntrack_tcp_timeout_close_wait": self.tcp_close_wait_timeout,
            "nf_conntrack_udp_timeout": self.udp_timeout,
            "nf_conntrack_udp_timeout_stream": self.udp_stream_timeout,
            "nf_conntrack_tcp_be_liberal": int(self.tcp_be_liberal),
        }
        return {name: value for name, value in wanted.items() if value}


def set_conntrack(settings: ConntrackSettings) -> None:
    """Apply connection tracking settings as far as the network namespace allows, logging what it doesn't.

    The size of the table can be set in the first namespace alone, and is only ever raised here: kube-proxy
    lowers it too, but a table that shrinks on a busy node drops new connections.
    """
    for name, value in settings.values().items():
        file = _NET / "netfilter" / name
        try:
            now = int(file.read_text())
            if now == value or (name == "nf_conntrack_max" and now > value):
                continue
            file.write_text(str(value))
        except OSError as error:
            log.info("net.netfilter.%s can't be set to %d here: %s", name, value, error.strerror)
        else:
            log.info("net.netfilter.%s: %d, was %d", name, value, now)


def conntrack_is_liberal() -> bool:
    """Whether conntrack translates TCP segments out of their window, rather than calling them INVALID.

    Asked of the kernel, not of the configuration: an operator, or a proxy's --init-only, may have set it.
    """
    try:
        return (_NET / "netfilter/nf_conntrack_tcp_be_liberal").read_text().strip() != "0"
    except OSError:
        return False


def set_oom_score(score: int) -> None:
    """Tell the kernel how soon to end this process when memory runs out, logging if it won't have it."""
    try:
        Path("/proc/self/oom_score_adj").write_text(str(score))
    except OSError as error:
        log.info("oom_score_adj can't be set to %d here: %s", score, error.strerror)


def enable_localhost_node_ports() -> bool:
    """Let packets from and to 127.0.0.0/8 leave and enter, which IPv4 node ports on loopback need.

    Returns whether node ports can work on loopback now; if not, the reason has been logged.
    """
    file = _NET / "ipv4/conf/all/route_localnet"
    try:
        if file.read_text().strip() != "1":
            file.write_text("1")
            log.info("net.ipv4.conf.all.route_localnet: 1, for node ports on loopback")
    except OSError as error:
        log.warning("node ports won't answer on loopback: route_localnet can't be set: %s", error.strerror)
        return False
    return True

"""The few kernel settings that a proxy makes. All are per network namespace: its own, never another's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from wellhead.linux import sysctls
from wellhead.linux.inotify import IN_MODIFY, Inotify
from wellhead.pace import Pace

log = logging.getLogger(__name__)

_NET = sysctls.path("net")
_ROUTE_LOCALNET = _NET / "ipv4/conf/all/route_localnet"


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
    return bool(sysctls.number("net/netfilter/nf_conntrack_tcp_be_liberal"))


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
    try:
        if _ROUTE_LOCALNET.read_text().strip() != "1":
            _ROUTE_LOCALNET.write_text("1")
            log.info("net.ipv4.conf.all.route_localnet: 1, for node ports on loopback")
    except OSError as error:
        log.warning("node ports won't answer on loopback: route_localnet can't be set: %s", error.strerror)
        return False
    return True


class KeptSettings:
    """What a proxy has set, and sets again when others change it.

    The kernel says nothing of that: heard of are writes by the same mount of /proc. So beside a node's other
    processes, a proxy in a container with a /proc of its own keeps what is changed from there alone.
    """

    def __init__(self, conntrack: ConntrackSettings) -> None:
        self._conntrack = conntrack
        self._on_loopback = False

    def enable_localhost_node_ports(self) -> bool:
        """The function of that name; and so it stays."""
        self._on_loopback = enable_localhost_node_ports()
        return self._on_loopback

    async def run(self) -> None:
        """Until cancelled."""
        written = asyncio.Event()
        clock, pace = asyncio.get_running_loop().time, Pace()
        with contextlib.ExitStack() as stack:
            try:
                inotify = stack.enter_context(contextlib.closing(Inotify()))
                for file in (
                    _ROUTE_LOCALNET,
                    *(_NET / "netfilter" / name for name in self._conntrack.values()),
                ):
                    with contextlib.suppress(FileNotFoundError):
                        stack.enter_context(inotify.watch(file, IN_MODIFY, written.set))
            except OSError as error:  # the user has no instance or no watch left
                log.warning("what others change of kernel settings stays so: %s", error)
            written.set()  # perhaps before we heard of it
            while True:
                await written.wait()
                await asyncio.sleep(pace.not_before(clock()) - clock())
                pace.done(clock())
                written.clear()
                set_conntrack(self._conntrack)
                if self._on_loopback:
                    enable_localhost_node_ports()

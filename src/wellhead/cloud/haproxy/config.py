"""HAProxy's configuration as text: one `listen` section a port of a Service. Pure.

Source: HAProxy 2.6's configuration.txt; nothing here is deprecated in 3.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wellhead import ports
from wellhead.cloud.haproxy.client_ip import ClientIP
from wellhead.cloud.haproxy.sections import Listener, Section, Server
from wellhead.ip import IPAddress, bracketed

CONNECT_SECONDS = 2
"""How long a server has to answer before another is tried."""

_TABLE_SIZE = "100k"  # clients that affinity remembers; the one that came last is forgotten last
_RANGES_A_LINE = 16  # HAProxy takes 64 words a line; lines with the same name are one list
_PEER = "wellhead"
_ADDED_BYTES = 1024  # of a buffer, for what is added to a client's headers


class Limits(NamedTuple):
    """How much a request's or an answer's headers may be: bytes with the first line, and how many lines; and
    how long a connection may be silent.

    HAProxy keeps headers in one buffer. What has more is refused: 400 to a request, 502 in place of an
    answer.
    """

    header_bytes: int = 32 * 1024
    headers: int = 200
    idle_seconds: int = 3600


USUAL_LIMITS = Limits()


@dataclass(frozen=True)
class Instance:
    """What is the same for all sections.

    `directory` holds configuration and sockets. Nodes see `sources`, one a family.
    """

    directory: Path
    sources: tuple[IPAddress, ...]
    handover_port: int = ports.HAPROXY_HANDOVER
    limits: Limits = USUAL_LIMITS

    @property
    def config(self) -> Path:
        return self.directory / "haproxy.cfg"

    @property
    def master_socket(self) -> Path:
        return self.directory / "master.sock"


def render(instance: Instance, sections: Iterable[Section]) -> str:
    """The whole file."""
    return "\n".join([_head(instance), *(_section(instance, section) for section in sections)])


def _head(instance: Instance) -> str:
    # Long time-outs, and keep-alive instead: whether a silent connection is still wanted is not ours to say.
    return f"""\
# Written by wellhead, and written anew at every change: edits are lost.
global
  log stderr format raw daemon notice
  stats socket {instance.directory}/worker.sock mode 600 level admin expose-fd listeners
  localpeer {_PEER}
  uid 65534
  gid 65534
  fd-hard-limit 100000
  tune.bufsize {instance.limits.header_bytes + _ADDED_BYTES}
  tune.maxrewrite {_ADDED_BYTES}
  tune.http.maxhdr {instance.limits.headers}

defaults
  log global
  option dontlog-normal
  option clitcpka
  option srvtcpka
  option redispatch 1
  timeout connect {CONNECT_SECONDS}s
  timeout client {instance.limits.idle_seconds}s
  timeout client-fin 1m
  timeout server {instance.limits.idle_seconds}s
  timeout tunnel {instance.limits.idle_seconds}s
  timeout http-request 1m
  timeout http-keep-alive 1m

peers {_PEER}
  bind 127.0.0.1:{instance.handover_port}
  server {_PEER}
"""


def _section(instance: Instance, section: Section) -> str:
    listener = section.listener
    # "transparent", since IPv6 lets nobody bind to an address that is local by a route alone. "v6only", since
    # a socket with an IPv6 address is, and HAProxy takes over none that its configuration calls otherwise.
    options = "transparent v6only" if listener.vip.version == 6 else "transparent"
    lines = [f"listen {listener.name}", f"  bind {bracketed(listener.vip)}:{listener.port} {options}"]
    lines += [
        f"  source {bracketed(source)}"
        for source in instance.sources
        if source.version == listener.vip.version
    ]
    lines += [f"  {line}" for line in _directives(listener)]
    for name, server in section.servers.items():
        state = "" if server.ready else " disabled"
        lines.append(f"  server {name} {server_address(server)}{server_options(listener)}{state}")
    return "\n".join(lines) + "\n"


def _directives(listener: Listener) -> list[str]:
    lines = [f"mode {'http' if listener.client_ip.is_http else 'tcp'}"]
    if listener.source_ranges:
        for start in range(0, len(listener.source_ranges), _RANGES_A_LINE):
            ranges = listener.source_ranges[start : start + _RANGES_A_LINE]
            lines.append(f"acl allowed src {' '.join(map(str, ranges))}")
        lines.append("tcp-request connection reject unless allowed")
    if listener.client_ip.is_http:
        lines += _headers(listener)
    if listener.affinity_seconds:
        # The table says who is where; the hash makes a fresh one say the same of most clients.
        lines += [
            "balance source",
            "hash-type consistent",
            f"stick-table type {'ip' if listener.vip.version == 4 else 'ipv6'} size {_TABLE_SIZE} "
            f"expire {listener.affinity_seconds}s peers {_PEER}",
            "stick on src",
        ]
    else:
        lines.append("balance roundrobin")
    return lines


def _headers(listener: Listener) -> list[str]:
    """What a client says of itself goes, under any spelling that a server may take for the header's name."""
    version = listener.vip.version
    # RFC 7239, section 6: an IPv6 address stands in brackets, and so in quotes.
    client, proxy = ("%[src]", str(listener.vip)) if version == 4 else ('"[%[src]]"', f'"[{listener.vip}]"')
    forwarded = f"for={client};by={proxy};proto=http".replace('"', r"\"")
    lines = [
        # Each request goes to a node of its own: none is sent on a connection that is just being closed.
        "option http-server-close",
        "http-request del-header ^forwarded$ -m reg",
        "http-request del-header ^x[-_]forwarded[-_]for$ -m reg",
        # By naming a header there, a client would have the next server take ours away (RFC 9110, 7.6.1).
        "http-request replace-value Connection '(?i)^(forwarded|x[-_]forwarded[-_]for)$' close",
    ]
    if listener.client_ip in (ClientIP.FORWARDED, ClientIP.BOTH):
        lines.append(f'http-request set-header Forwarded "{forwarded}"')
    if listener.client_ip in (ClientIP.X_FORWARDED_FOR, ClientIP.BOTH):
        lines.append("http-request set-header X-Forwarded-For %[src]")
    return lines


def server_address(server: Server) -> str:
    """A server's address and port, as HAProxy reads them."""
    return f"{bracketed(server.address)}:{server.port}"


def server_options(listener: Listener) -> str:
    """What follows a server's address, also when it is added to a running HAProxy."""
    match listener.client_ip:
        case ClientIP.PROXY_V1:
            return " send-proxy"
        case ClientIP.PROXY_V2:
            return " send-proxy-v2"
    return ""

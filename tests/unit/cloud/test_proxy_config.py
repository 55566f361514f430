"""HAProxy's configuration from values, and what a running HAProxy is told when they change."""

from __future__ import annotations

import dataclasses
import subprocess
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from wellhead.cloud.balancers import VIP_ANNOTATION, published_vips, request
from wellhead.cloud.classes import Unsupported
from wellhead.cloud.endpoints import Endpoints
from wellhead.cloud.haproxy import changes
from wellhead.cloud.haproxy.changes import Change, change, servers
from wellhead.cloud.haproxy.client_ip import ClientIP
from wellhead.cloud.haproxy.commands import Processes, parse_processes, sessions
from wellhead.cloud.haproxy.config import Instance, Limits, render
from wellhead.cloud.haproxy.sections import Listener, Section, Server, sections
from wellhead.cloud.haproxy.termination import Port, Termination, termination
from wellhead.cloud.nodes import BalancedNode, balanced_node
from wellhead.cloud.plane import PlaneError
from wellhead.images import haproxy
from wellhead.images.store import ImageNotFound, ImageStore
from wellhead.ip import Family
from wellhead.services.endpointslice import EndpointAddress

VIP = IPv4Address("203.0.113.7")
ONE, TWO = IPv4Address("10.240.0.11"), IPv4Address("10.240.0.12")
SOURCES = (IPv4Address("10.240.0.3"), IPv6Address("fd00:10:240::3"))
NODES = (BalancedNode("node-2", (TWO,), excluded=False), BalancedNode("node-1", (ONE,), excluded=False))
WEB = ("default", "web")
LISTENER = Listener("default.web.80", VIP, 80)
SERVERS = {"node-1": Server(ONE, 30080), "node-2": Server(TWO, 30080, ready=False)}


def text_of(*listeners: Listener) -> str:
    """The configuration's part about these listeners, each with the same servers."""
    text = render(Instance(Path("/run/x"), SOURCES), [Section(each, SERVERS) for each in listeners])
    return text[text.index("listen ") :]


def test_a_tcp_port_of_a_service() -> None:
    assert (
        text_of(LISTENER)
        == """\
listen default.web.80
  bind 203.0.113.7:80 transparent
  source 10.240.0.3
  mode tcp
  balance roundrobin
  server node-1 10.240.0.11:30080
  server node-2 10.240.0.12:30080 disabled
"""
    )


def test_headers_have_their_room_and_what_is_added_to_them_has_its_own() -> None:
    lines = render(Instance(Path("/run/x"), SOURCES, limits=Limits(40_000, 321)), []).splitlines()
    assert {"  tune.bufsize 41024", "  tune.maxrewrite 1024", "  tune.http.maxhdr 321"} <= set(lines)


def test_silence_has_its_limit_in_either_direction_and_after_an_upgrade() -> None:
    text = render(Instance(Path("/run/x"), SOURCES, limits=Limits(idle_seconds=77)), [])
    for direction in ("client", "server", "tunnel"):
        assert f"  timeout {direction} 77s\n" in text


def test_an_http_port_with_everything() -> None:
    listener = dataclasses.replace(
        LISTENER,
        client_ip=ClientIP.BOTH,
        source_ranges=(IPv4Network("10.0.0.0/8"), IPv4Network("198.51.100.0/24")),
        affinity_seconds=60,
    )
    assert (
        text_of(listener)
        == """\
listen default.web.80
  bind 203.0.113.7:80 transparent
  source 10.240.0.3
  mode http
  acl allowed src 10.0.0.0/8 198.51.100.0/24
  tcp-request connection reject unless allowed
  option http-server-close
  http-request del-header ^forwarded$ -m reg
  http-request del-header ^x[-_]forwarded[-_]for$ -m reg
  http-request replace-value Connection '(?i)^(forwarded|x[-_]forwarded[-_]for)$' close
  http-request set-header Forwarded "for=%[src];by=203.0.113.7;proto=http"
  http-request set-header X-Forwarded-For %[src]
  balance source
  hash-type consistent
  stick-table type ip size 100k expire 60s peers wellhead
  stick on src
  server node-1 10.240.0.11:30080
  server node-2 10.240.0.12:30080 disabled
"""
    )


def test_each_way_adds_what_it_says_and_removes_what_the_client_says() -> None:
    def lines(way: ClientIP) -> str:
        return text_of(dataclasses.replace(LISTENER, client_ip=way))

    for way in (ClientIP.FORWARDED, ClientIP.X_FORWARDED_FOR):
        assert lines(way).count("del-header") == 2
        assert lines(way).count("set-header") == 1
    assert "set-header X-Forwarded-For" in lines(ClientIP.X_FORWARDED_FOR)
    assert "set-header Forwarded" in lines(ClientIP.FORWARDED)
    assert "node-1 10.240.0.11:30080 send-proxy\n" in lines(ClientIP.PROXY_V1)
    assert "node-2 10.240.0.12:30080 send-proxy-v2 disabled\n" in lines(ClientIP.PROXY_V2)
    assert "-header" not in lines(ClientIP.NONE) + lines(ClientIP.PROXY_V2)


def test_an_ipv6_address_is_bracketed_and_quoted_in_forwarded() -> None:
    vip = IPv6Address("2001:db8:113::7")
    text = text_of(dataclasses.replace(LISTENER, vip=vip, client_ip=ClientIP.FORWARDED, affinity_seconds=1))
    assert r'set-header Forwarded "for=\"[%[src]]\";by=\"[2001:db8:113::7]\";proto=http"' in text
    assert "bind [2001:db8:113::7]:80" in text
    assert "stick-table type ipv6" in text


def test_haproxy_accepts_every_kind_of_section(tmp_path: Path) -> None:
    try:
        program = haproxy.launcher(ImageStore(Path("/var/cache/wellhead/images")))
    except ImageNotFound:
        pytest.skip("needs `wellhead image build`")
    everything = [
        Section(
            Listener(
                f"default.web-{way.name.lower()}.{seconds}.{vip.version}",
                vip,
                80,
                way,
                tuple(IPv4Network((number << 24, 8)) for number in range(1, 101)) if seconds else (),
                seconds,
            ),
            {**SERVERS, "10.244.1.1:8080": Server(IPv4Address("10.244.1.1"), 8080)},
        )
        for way in ClientIP
        for vip in (VIP, IPv6Address("2001:db8:113::7"))
        for seconds in (0, 60)
    ]
    path = tmp_path / "haproxy.cfg"
    path.write_text(render(Instance(tmp_path, SOURCES), everything))
    done = subprocess.run([program, "-c", "-f", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.replace("Configuration file is valid", "").strip()) == (0, "")


def test_a_vip_of_each_family_has_a_section_with_servers_source_and_ranges_of_its_own(tmp_path: Path) -> None:
    v6, node_v6 = IPv6Address("2001:db8:113::7"), IPv6Address("fd00:10:240::b")
    wanted = Termination(
        (Port("http", 80, 30080, ClientIP.NONE),),
        source_ranges=(IPv4Network("10.0.0.0/8"), IPv6Network("2001:db8::/32")),
    )
    nodes = (BalancedNode("dual", (ONE, node_v6), excluded=False), NODES[0])
    first, second = sections(WEB, wanted, [v6, VIP], nodes, frozenset({ONE, node_v6}), Endpoints())
    assert first.listener.name == "default.web.80.ipv6"
    assert first.servers == {"dual": Server(node_v6, 30080)}
    assert first.listener.source_ranges == (IPv6Network("2001:db8::/32"),)
    assert second.servers == {"dual": Server(ONE, 30080), "node-2": Server(TWO, 30080, ready=False)}
    assert second.listener.source_ranges == (IPv4Network("10.0.0.0/8"),)
    text = render(Instance(tmp_path, SOURCES), [first, second])
    assert text.index("source [fd00:10:240::3]") < text.index("source 10.240.0.3")


def test_sections_of_a_service_lead_to_nodes_or_else_to_endpoints() -> None:
    ports = (Port("http", 80, 30080, ClientIP.BOTH), Port("raw", 9, 0, ClientIP.NONE))
    endpoints = Endpoints(
        usable={(Family.IPV4, "raw"): (EndpointAddress(IPv4Address("10.244.1.1").packed, 9000),)}
    )
    by_node, by_endpoint = sections(WEB, Termination(ports), [VIP], NODES, frozenset({ONE}), endpoints)
    assert by_node == Section(dataclasses.replace(LISTENER, client_ip=ClientIP.BOTH), SERVERS)
    assert by_endpoint == Section(
        Listener("default.web.9", VIP, 9), {"10.244.1.1:9000": Server(IPv4Address("10.244.1.1"), 9000)}
    )


def planned(new: dict[str, Server], listener: Listener = LISTENER) -> Change | None:
    old = {"default.web.80": Section(LISTENER, SERVERS)}
    return change(old, {"default.web.80": Section(listener, new)})


def test_a_node_that_comes_in_or_goes_out_costs_a_command() -> None:
    swapped = {"node-1": Server(ONE, 30080, ready=False), "node-2": Server(TWO, 30080)}
    assert planned(swapped) == Change(
        {"default.web.80": Section(LISTENER, swapped)},
        [
            "set server default.web.80/node-1 state maint",
            "set server default.web.80/node-2 state ready",
        ],
    )
    assert planned(SERVERS) == Change({"default.web.80": Section(LISTENER, SERVERS)})


def test_a_new_server_is_added_and_one_that_left_is_deleted_if_possible() -> None:
    new = {"node-2": SERVERS["node-2"], "node-3": Server(IPv4Address("10.240.0.13"), 30080)}
    found = planned(new)
    assert found is not None
    assert found.commands == [
        "add server default.web.80/node-3 10.240.0.13:30080",
        "set server default.web.80/node-3 state ready",
        "set server default.web.80/node-1 state maint",
    ]
    assert found.deletions == ["default.web.80/node-1"]
    # What has connections stays, and is tried again; what has none is gone.
    kept = found.running["default.web.80"].servers
    assert kept == {**new, "node-1": Server(ONE, 30080, ready=False)}
    assert changes.without(found.running, frozenset(found.deletions))["default.web.80"].servers == new


def test_what_haproxy_cannot_be_told_needs_a_reload() -> None:
    assert planned(SERVERS, dataclasses.replace(LISTENER, client_ip=ClientIP.PROXY_V2)) is None
    assert planned({"node-1": Server(ONE, 30081)}) is None
    section = Section(LISTENER, SERVERS)
    assert change({}, {"default.web.80": section}) is None
    assert change({"default.web.80": section}, {}) is None


def test_an_added_server_speaks_as_the_others_do() -> None:
    listener = dataclasses.replace(LISTENER, client_ip=ClientIP.PROXY_V1)
    found = change(
        {listener.name: Section(listener, {})},
        {listener.name: Section(listener, {"node-1": SERVERS["node-1"]})},
    )
    assert found is not None
    assert found.commands[0] == "add server default.web.80/node-1 10.240.0.11:30080 send-proxy"


def test_the_servers_at_an_address_are_found_by_name() -> None:
    every = [Section(LISTENER, SERVERS)]
    assert servers(every, frozenset({TWO})) == {"default.web.80/node-2"}
    assert servers(every) == {"default.web.80/node-1", "default.web.80/node-2"}
    assert servers(every, ready=True) == {"default.web.80/node-1"}


def test_the_sessions_of_a_worker_are_understood() -> None:
    text = (
        "0x5555923a8900: proto=tcpv4 src=198.51.100.79:3684 fe=x be=default.web.80 srv=node-1 ts=00 epoch=0\n"
        "0x7fedd803a870: proto=sockpair src=unix:2 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s\n\n"
    )
    assert sessions(text)["0x5555923a8900"] == "default.web.80/node-1"


def test_the_masters_list_of_processes_is_understood() -> None:
    text = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
29801           master          3 [failed: 1]   0d00h10m40s     2.6.12-1+deb12u4
# workers
27206           worker          0               0d00h00m01s     2.6.12-1+deb12u4
# old workers
27100           worker          2               0d00h00m09s     2.6.12-1+deb12u4
# programs
"""
    assert parse_processes(text) == Processes(29801, 3, 1, 27206, (27100,))
    with pytest.raises(PlaneError):
        parse_processes("")


@pytest.mark.parametrize(
    "evil", ["x\n  server evil 192.0.2.66:1", "x ; flush ruleset ; ", "x }\nflush ruleset\n", "eth0"]
)
def test_nothing_that_is_written_into_a_service_or_node_becomes_configuration(evil: str) -> None:
    """Python takes anything for the scope of an IPv6 address; a router's rules would repeat it as root."""
    scoped = f"2001:db8:113::5%{evil}"
    spec = {"ports": [{"port": 80}], "ipFamilies": ["IPv6"], "type": "LoadBalancer"}
    metadata = {"namespace": "default", "name": "web"}
    with pytest.raises(Unsupported, match="is no IP address"):
        request({"metadata": {**metadata, "annotations": {VIP_ANNOTATION: scoped}}, "spec": spec})
    ranges = {"loadBalancerSourceRanges": [f"{scoped}/128"]}
    with pytest.raises(Unsupported, match="is no network"):
        termination({"metadata": metadata, "spec": {**spec, **ranges}})
    assert published_vips({"status": {"loadBalancer": {"ingress": [{"ip": scoped}]}}}) == []
    addresses = [{"type": "InternalIP", "address": scoped}, {"type": "InternalIP", "address": "fd00::1"}]
    node = balanced_node({"metadata": {"name": "node-1"}, "status": {"addresses": addresses}})
    assert node is not None
    assert [str(each) for each in node.addresses] == ["fd00::1"]

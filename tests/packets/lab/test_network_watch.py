"""What others change of the machines' networks is put back at once, and nothing else is touched."""

from __future__ import annotations

import re
import subprocess
import time

from tests.packets.lab.supervised import SLEEPER, Supervise, Supervised, component
from tests.patience import until
from wellhead.lab import logs

HARMS = {
    "edge": (
        "nft flush ruleset",
        "nft delete table ip wellhead-edge",
        "nft add rule ip6 wellhead-edge inward drop",
        "ip link set node-1 down",
        "ip link set node-1 nomaster",
        "ip link set nodes down",
        "ip link set internet mtu 1400",
        "ip addr flush dev nodes",
        "ip -6 addr flush dev internet scope global",
        "sysctl -q -w net.ipv4.ip_forward=0",
        "sysctl -q -w net.ipv4.conf.nodes.forwarding=0",
        "sysctl -q -w net.ipv6.conf.all.forwarding=0",
        "sysctl -q -w net.ipv4.conf.all.rp_filter=1",
        "sysctl -q -w net.ipv4.conf.nodes.rp_filter=1",
        "sysctl -q -w net.ipv4.conf.nodes.send_redirects=1",
        "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1",
    ),
    "node-1": (
        "ip link set eth0 down",
        "ip addr flush dev eth0",
        "ip route flush table main",
        "ip -6 route flush table main",
        "ip route replace default via 10.240.0.3",
        "ip rule flush",
        "ip route flush table local",
        "ip -6 route del local fd00:10:240::11 table local",
        "ip -6 rule del priority 32766",
        "sysctl -q -w net.ipv4.ip_forward=0",
        "sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1",
        "sysctl -q -w net.ipv6.conf.eth0.accept_ra=2",
    ),
    "cloud": ("ip route del 10.244.1.0/24", "ip -6 route flush fd00:10:244:1::/64"),
    "client": (
        "ip link set eth0 mtu 1400",
        "ip route del default",
        "sysctl -q -w net.ipv4.ip_forward=1",
        "sysctl -q -w net.ipv4.conf.all.accept_redirects=1",
    ),
}
STATE = (
    "ip -o link; ip -o addr show scope global; ip rule; ip -6 rule;"
    "ip route show table all; ip -6 route show table all;"
    "sysctl -a -r '^net.ipv[46].conf.[a-z0-9-]+.(forwarding|rp_filter|accept_ra|disable_ipv6)$';"
    "sysctl -a -r '^net.ipv4.conf.[a-z0-9-]+.(send|accept)_redirects$'; nft -s list ruleset"
)


_BY_ITSELF = re.compile("fe80:|ff00:|anycast|broadcast|127.0.0")


def on(lab: Supervised, machine: str, command: str) -> str:
    """What a shell command prints in a machine's network and mounts."""
    (pid,) = (each.pid for each in lab.running().machines if each.name == machine)
    inside = ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", "sh", "-c", command]
    return subprocess.run(inside, capture_output=True, text=True, check=True).stdout


def state(lab: Supervised, machine: str) -> set[str]:
    """Lines that say how the network is, without what comes and goes by itself."""
    found = re.sub(
        r"valid_lft.*|state \w+|<[^>]*>|qdisc \w+|qlen \d+|metric \d+", "", on(lab, machine, STATE)
    )
    return {line.strip() for line in found.splitlines() if not _BY_ITSELF.search(line)}


def test_what_somebody_changes_is_put_back(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    for machine, harms in HARMS.items():
        well = state(lab, machine)
        for harm in harms:
            on(lab, machine, harm)
            assert_is_again(lab, machine, well, harm)
    # Nobody has lost a link, so nobody had to be restarted.
    assert component(lab.running(), "sleeper").pid == component(before, "sleeper").pid
    assert len(put_back(lab)) >= sum(len(harms) for harms in HARMS.values())


def assert_is_again(lab: Supervised, machine: str, well: set[str], harm: str) -> None:
    try:
        until(lambda: state(lab, machine) ^ well, lambda different: not different)
    except AssertionError as error:
        raise AssertionError(f"{machine}, {harm}: {error}; {put_back(lab)}") from None


def put_back(lab: Supervised) -> list[str]:
    return [line for line in logs.tail(lab.cluster.supervisor_log, 1000) if "put back" in line]


def test_a_cable_that_was_deleted_is_made_anew(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()

    def without_numbers(machine: str) -> set[str]:
        return {
            re.sub(r"^\d+: |@if\d+|link-netnsid \d+|permaddr.*", "", line) for line in state(lab, machine)
        }

    for machine, cable in (("edge", "node-1"), ("node-1", "eth0"), ("edge", "nodes")):
        well, pid = without_numbers(machine), component(lab.running(), "sleeper").pid
        on(lab, machine, f"ip link del {cable}")
        # Who has lost a link gets another, and is started again.
        lab.until(lambda s, pid=pid: component(s, "sleeper").pid not in (0, pid))  # type: ignore[misc]
        lab.until(lambda _, machine=machine, well=well: without_numbers(machine) == well)  # type: ignore[misc]
    assert [m.pid for m in lab.running().machines] == [m.pid for m in before.machines]


def test_a_fight_is_bounded(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    well, began = state(lab, "node-1"), time.monotonic()
    on(lab, "node-1", "for i in $(seq 200); do ip link set eth0 down; done")
    assert_is_again(lab, "node-1", well, "down, down, down")
    # Twenty in a row, and then one every five seconds.
    assert 1 <= len(put_back(lab)) <= 20 + 2 + (time.monotonic() - began) / 5

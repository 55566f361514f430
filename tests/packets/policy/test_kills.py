"""Whatever happens to what enforces policies, nothing comes through that mustn't, and what may does.

Three kills here; `make test-faults` has as many as it is told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.packets.policy.crowd import LEFT, RIGHT, Crowd, Probe
from wellhead.ip import Family, Protocol
from wellhead.linux.nftables.content import can_own
from wellhead.linux.nftables.socket import Socket

pytestmark = pytest.mark.cluster

KILLS = int(os.environ.get("WELLHEAD_POLICY_KILLS", "3"))
_ROUNDS = 10
"""Of packets, while it runs."""
ROOT = Path(__file__).parents[3]
ALLOWED = [
    Probe(ip_address(LEFT[0]), ip_address(RIGHT[0]), protocol, 80)
    for protocol in (Protocol.UDP, Protocol.TCP)
]
FORBIDDEN = [
    Probe(ip_address(source), ip_address(RIGHT[1]), protocol, 80)
    for source in LEFT[:2]
    for protocol in (Protocol.UDP, Protocol.TCP)
]


@contextlib.contextmanager
def churning(crowd: Crowd) -> Iterator[None]:
    """While a process changes policies; afterwards it is killed."""
    command = [sys.executable, "-m", "tests.packets.policy.churning"]
    process = crowd.node.inside(
        lambda: subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        assert process.poll() is None, "it has gone by itself"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def check(crowd: Crowd) -> None:
    assert crowd.arrived([*ALLOWED, *FORBIDDEN]) == set(ALLOWED)


@pytest.mark.timeout(1200)
def test_kill_9_at_any_line_lets_nothing_through(crowd: Crowd) -> None:
    for _ in range(KILLS):
        with churning(crowd):
            for _ in range(_ROUNDS):
                check(crowd)
        check(crowd)


def test_a_flush_while_it_runs_lets_nothing_through(crowd: Crowd) -> None:
    if not crowd.node.inside(_can_own):
        pytest.skip("this kernel has no tables that belong to a process (Linux 6.9)")
    with churning(crowd):
        for _ in range(_ROUNDS):
            crowd.node.run("nft flush ruleset")
            check(crowd)
            with pytest.raises(AssertionError, match="not permitted"):
                crowd.node.run("nft delete table ip wellhead-policy")
            check(crowd)


def _can_own() -> bool:
    with contextlib.closing(Socket()) as socket:
        return can_own(socket, Family.IPV4)

"""Where a bridge hides pods' packets, `wellhead policy` says so and goes; and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.packets.policy.conftest import NETWORKS
from tests.packets.proxy.world import Host, NodeLoop
from wellhead.policy import bridges, main
from wellhead.waiting import first_error

pytestmark = pytest.mark.cluster
SETTING = "net/bridge/bridge-nf-call-iptables"


@pytest.fixture
def host() -> Iterator[Host]:
    """A node whose pods are on a bridge."""
    found = Host()
    try:
        found.ip("link add cni0 type bridge", "addr add 10.244.1.1/24 dev cni0", "link set cni0 up")
        if Path("/proc/sys", SETTING).exists():  # else it is as if it were 0
            found.sysctl(SETTING, "0")
        yield found
    finally:
        found.close()


def test_what_a_bridge_shows_is_read_from_the_kernel(host: Host) -> None:
    [found] = host.inside(bridges.read)
    assert (found.name, found.addresses[0], 4 in found.seen) == ("cni0", ip_address("10.244.1.1"), False)
    host.run("ip link set cni0 type bridge nf_call_iptables 1")
    [found] = host.inside(bridges.read)
    assert 4 in found.seen


def test_it_refuses_to_run_though_the_api_server_is_away(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "_LAST_WORDS_SECONDS", 0.0)
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": ""}}
    (kubeconfig := tmp_path / "kubeconfig").write_text(
        json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "c"})
    )
    loop = NodeLoop(host)
    try:
        with pytest.raises(ExceptionGroup) as refused:
            loop.wait_for(main.run(main.Config(str(kubeconfig), "node-1", NETWORKS)))
    finally:
        loop.close()
    assert isinstance(first_error(refused.value), bridges.Unseen)
    assert "are on bridge cni0" in str(first_error(refused.value))
    assert "wellhead-policy" not in host.run("nft list ruleset")

"""What follows from the options that `wellhead cloud` is given."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from wellhead.cloud.options import Config, OptionError, Options, resolve

PLAIN = Options(
    vip_pool=(ip_network("203.0.113.0/24"),),
    pools=None,
    kubeconfig=None,
    forwarder_netns=None,
    proxy_address=(),
    haproxy=None,
    image_dir=Path("/nowhere"),
    proxy_state_dir=Path("/run/wellhead/proxy"),
    proxy_dials_endpoints=False,
    proxy_max_header_bytes=16384,
    proxy_max_headers=101,
    proxy_idle_timeout=77,
    health_check_interval=1.0,
    health_check_timeout=1.0,
    health_check_failures=2,
    metrics_bind_address=("127.0.0.1", 10258),
    bgp=False,
    announce=(),
    leader_elect=None,
    leader_elect_lease_duration=5.0,
    leader_elect_resource_namespace="kube-system",
    leader_elect_resource_name="wellhead-cloud",
)
V4, OTHER_V4, V6 = (ip_address(each) for each in ("10.240.0.3", "10.240.0.4", "fd00:10:240::3"))


def resolved(**given: Any) -> Config:
    return resolve(replace(PLAIN, **given))


@pytest.mark.parametrize(
    ("announce", "asked", "elected"),
    [((), None, False), (("eth0",), None, True), ((), True, True), (("eth0",), False, False)],
)
def test_who_announces_is_elected_unless_told_otherwise(
    announce: tuple[str, ...], asked: bool | None, elected: bool
) -> None:
    assert (resolved(announce=announce, leader_elect=asked).lease is not None) is elected


def test_the_proxy_runs_where_it_has_an_address_and_a_program() -> None:
    assert resolved().proxy is None
    assert "--proxy-address" in resolved().no_proxy
    assert "wellhead image build" in resolved(proxy_address=(V4,)).no_proxy
    proxy = resolved(proxy_address=(V4, V6), haproxy=Path("/usr/sbin/haproxy")).proxy
    assert proxy is not None
    assert proxy.limits == (16384, 101, 77)
    assert (proxy.addresses, proxy.program) == ((V4, V6), Path("/usr/sbin/haproxy"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"proxy_address": (V4, OTHER_V4)}, "one IPv4 and one IPv6 address at most"),
        ({"proxy_address": (V4,), "announce": ("eth0",)}, "needs --forwarder-netns"),
    ],
)
def test_what_cannot_be_together_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        resolved(**given)

"""Where ClusterIPs come from."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from wellhead.proxy.service_ranges import ranges_of


def test_the_ranges_are_those_of_all_service_cidrs_in_order() -> None:
    objects: list[dict[str, Any]] = [
        {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.8.0.0/16", "10.0.0.0/16"]}},
        {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.0.0.0/16", "fd00:10::/112"]}},
        {"metadata": {"name": "broken"}, "spec": {"cidrs": ["10.0.0.1/16"]}},
        {"metadata": {"name": "empty"}},
    ]
    expected = ("10.0.0.0/16", "10.8.0.0/16", "fd00:10::/112")
    assert ranges_of(objects) == tuple(ip_network(each) for each in expected)

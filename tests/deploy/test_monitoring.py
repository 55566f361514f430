"""deploy/monitoring: what alerts and the dashboard ask for is what the components have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from wellhead.cloud import bgp
from wellhead.cloud.controller import Controller
from wellhead.cloud.metrics import Metrics as CloudMetrics
from wellhead.cloud.vips import VIPPool
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.node_policies import NodePolicies
from wellhead.policy.metrics import Metrics as PolicyMetrics
from wellhead.proxy.metrics import Metrics as ProxyMetrics

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
PORTS = {"wellhead-proxy": 10249, "wellhead-cloud": 10268, "wellhead-policy": 10261, "wellhead-bgp": 10263}


def expressions() -> Iterator[str]:
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    for group in rules["spec"]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def of_cloud() -> str:
    metrics = CloudMetrics()
    nothing: dict[str, Any] = {}
    controller = SimpleNamespace(
        pool=VIPPool.of([ip_network("203.0.113.0/27")]),
        refused=nothing,
        proxy=None,
        steering=SimpleNamespace(balancers=nothing, monitor=SimpleNamespace(states=dict)),
    )
    metrics.follow(cast(Controller, controller))
    return metrics.text().decode()


def of_policy() -> CollectorRegistry:
    registry = CollectorRegistry()
    nothing = SimpleNamespace(policies=(), subjects={})
    PolicyMetrics(registry, cast(NodePolicies, nothing), cast(ClusterPolicies, nothing))
    return registry


@pytest.fixture(scope="module")
def there() -> set[str]:
    """The names of all time series."""
    registries = [ProxyMetrics("nftables").registry, ProxyMetrics("iptables").registry, of_policy()]
    families = [each for registry in registries for each in registry.collect()]
    families += text_string_to_metric_families(of_cloud())
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    of_bgp = re.findall(r'Gauge\("(\w+)"', (Path(bgp.__path__[0]) / "speaker.py").read_text())
    others = {"up", *of_bgp}
    return {f"{each.name}{ending}" for each in families for ending in endings[each.type]} | others


def test_every_metric_that_is_asked_for_is_there(there: set[str]) -> None:
    asked = {name for text in expressions() for name in re.findall(r"\b(\w+)\{", text)}
    assert len(asked) > 20
    assert asked - there == set()


def test_every_expression_says_whose_metric_it_means() -> None:
    """Kube-proxy's metrics have the same names."""
    for text in expressions():
        names = re.findall(r"\b(?:up|(?:kubeproxy|wellhead|process)_\w+)\b", text)
        assert len(names) == len(re.findall(r'\w\{job="wellhead-(?:proxy|cloud|policy|bgp)"', text)), text


def test_each_component_is_asked_at_its_port() -> None:
    objects = list(yaml.safe_load_all((MONITORING / "metrics.yaml").read_text()))
    services = [each for each in objects if each["kind"] == "Service"]
    asked = {each["spec"]["selector"]["k8s-app"]: each["spec"]["ports"][0]["port"] for each in services}
    assert asked == PORTS
    monitored = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceMonitor"}
    assert monitored == set(PORTS)

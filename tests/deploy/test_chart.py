"""deploy/chart and the kustomize bases are two ways to the same objects."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.kubectl.binaries import CURRENT, helm
from wellhead.cli import bgp
from wellhead.proxy.configuration.settings import SETTINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
PARTS = {
    "proxy": "kube-proxy-replacement",
    "loadBalancer": "load-balancer",
    "bgp": "bgp",
    "networkPolicy": "network-policy",
    "monitoring": "monitoring",
}
Objects = dict[tuple[str, str], dict[str, Any]]


def template(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    chart = ("wellhead", str(DEPLOY / "chart"), "--namespace", "kube-system")
    command = [str(helm()), "template", *chart, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def of_chart(part: str, *arguments: str) -> Objects:
    alone = ("--set", "proxy.enabled=false", "--set", f"{part}.enabled=true")
    return objects(template(*alone, *arguments).stdout)


def objects(text: str) -> Objects:
    """By kind and name; files in ConfigMaps are compared by what they say."""
    found = {}
    for obj in yaml.safe_load_all(text):
        if obj is None:
            continue
        if obj["kind"] == "ConfigMap":
            obj["data"] = {name: yaml.safe_load(file) for name, file in obj["data"].items()}
        found[obj["kind"], obj["metadata"]["name"]] = obj
    return found


@pytest.mark.parametrize("part", PARTS)
def test_the_chart_makes_what_kustomize_makes(part: str) -> None:
    base = DEPLOY / PARTS[part]
    kustomized = subprocess.run([CURRENT, "kustomize", base], capture_output=True, text=True, check=True)
    assert of_chart(part) == objects(kustomized.stdout)


def test_without_any_value_it_is_the_proxy() -> None:
    assert objects(template().stdout) == of_chart("proxy")


def test_another_namespace_is_all_that_changes() -> None:
    elsewhere = template("--namespace", "networking").stdout
    assert "kube-system" not in elsewhere
    assert objects(
        elsewhere.replace("networking", "kube-system").replace("kube-system.k8s", "networking.k8s")
    )


def test_an_api_server_that_is_named_makes_the_proxys_kubeconfig() -> None:
    made = of_chart("proxy", "--set", "proxy.apiServer=https://192.0.2.1:6443")
    config = made["ConfigMap", "wellhead-proxy"]["data"]["kubeconfig.conf"]
    assert config["clusters"][0]["cluster"]["server"] == "https://192.0.2.1:6443"
    volumes = made["DaemonSet", "wellhead-proxy"]["spec"]["template"]["spec"]["volumes"]
    [source] = volumes[0]["projected"]["sources"]
    assert {each["key"] for each in source["configMap"]["items"]} == {"config.conf", "kubeconfig.conf"}


def test_a_probe_asks_where_the_component_listens() -> None:
    made = of_chart("networkPolicy", "--set", "networkPolicy.healthzBindAddress=0.0.0.0:9999")
    [container] = made["DaemonSet", "wellhead-policy"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 9999}
    assert "--healthz-bind-address=0.0.0.0:9999" in container["args"]


def test_what_moves_is_found_where_it_is() -> None:
    moved = {"healthzBindAddress": "127.0.0.1:9998", "metricsBindAddress": "0.0.0.0:9999"}
    set_ = (f"--set=proxy.config.{name}={address}" for name, address in moved.items())
    made = objects(template("--set=monitoring.enabled=true", *set_).stdout)
    [container] = made["DaemonSet", "wellhead-proxy"]["spec"]["template"]["spec"]["containers"]
    asked = {"host": "127.0.0.1", "port": 9998}
    assert container["readinessProbe"]["httpGet"] == {**asked, "path": "/healthz"}
    assert container["livenessProbe"]["httpGet"] == {**asked, "path": "/livez"}
    assert made["Service", "wellhead-proxy-metrics"]["spec"]["ports"][0]["port"] == 9999


def test_by_bgp_what_needs_more_gets_it() -> None:
    options = {
        "bfd": "true",
        "passwordSecret": "sessions",
        "healthzBindAddress": "0.0.0.0:9999",
        "peers": "{192.0.2.1=64512,2001:db8::1=64512}",
    }
    made = of_chart("bgp", *(f"--set=bgp.{name}={value}" for name, value in options.items()))
    pod = made["DaemonSet", "wellhead-bgp"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"]["capabilities"]["add"] == ["NET_BIND_SERVICE", "NET_RAW"]
    [secret] = (each for each in pod["volumes"] if each.get("secret") == {"secretName": "sessions"})
    [place] = (each["mountPath"] for each in container["volumeMounts"] if each["name"] == secret["name"])
    password = f"--password-file={place}/password"
    assert password in container["args"]
    context = bgp.command.make_context("bgp", [each for each in container["args"][1:] if each != password])
    assert [str(each.address) for each in context.params["peer"]] == ["192.0.2.1", "2001:db8::1"]
    assert context.params["bfd"]
    assert context.params["healthz_bind_address"] == ("0.0.0.0", 9999)
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 9999}


def test_vips_are_announced_in_one_way() -> None:
    refused = template("--set", "loadBalancer.enabled=true,bgp.enabled=true", check=False)
    assert refused.returncode != 0
    assert "enable one of them" in refused.stderr


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("proxy.config.mode=ipvs", "mode"),
        ("proxy.confg.mode=iptables", "confg"),
        ("proxy.config.kind=Deployment", "config"),
        ("loadBalancer.replicas=0", "replicas"),
        ("loadBalancer.vipPools={eth0}", "vipPools"),
        ("loadBalancer.metricsBindAddress=10268", "metricsBindAddress"),
        ("bgp.peers={10.240.0.1}", "peers"),
        ("bgp.as=0", "as"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(value: str, named: str) -> None:
    refused = template("--set", value, check=False)
    assert refused.returncode != 0
    assert named in refused.stderr


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "chart" / "values.schema.json").read_text())
    return found


def test_the_proxys_configuration_has_the_fields_that_the_proxy_knows() -> None:
    """All but that of its kubeconfig, which is the chart's own."""

    def fields(section: dict[str, Any], before: str = "") -> Iterator[str]:
        for name, each in section["properties"].items():
            if "properties" in each:
                assert each["additionalProperties"] is False
                yield from fields(each, f"{before}{name}.")
            else:
                yield before + name

    config = schema()["properties"]["proxy"]["properties"]["config"]
    known = {each.name for each in SETTINGS} - {"clientConnection.kubeconfig"}
    assert set(fields(config)) == known


@pytest.mark.parametrize(
    ("section", "name", "wrong"),
    [
        ("proxy", "config", {"nodePortAdresses": ["primary"]}),
        ("proxy", "config", {"iptables": {"masqueradeBit": 32}}),
        ("proxy", "config", {"clientConnection": {"kubeconfig": "/etc/kubeconfig"}}),
        ("proxy", "config", {"healthzBindAddress": "10256"}),
        ("proxy", "config", {"clusterCIDR": ["10.244.0.0/16"]}),
        ("image", "registry", "https://registry.example.com"),
        ("image", "tag", "of today"),
    ],
)
def test_a_value_that_would_end_the_pods_is_refused_before(section: str, name: str, wrong: object) -> None:
    values = yaml.safe_load((DEPLOY / "chart" / "values.yaml").read_text())
    validator = jsonschema_rs.validator_for(schema())
    assert validator.is_valid(values)
    values[section][name] = wrong
    assert not validator.is_valid(values)


def test_every_value_is_explained() -> None:
    """A comment stands above each, or above the first of those that share it."""
    lines = (DEPLOY / "chart" / "values.yaml").read_text().splitlines()
    sections = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
    assert [lines[number] for number in sections if not lines[number + 1].startswith("  #")] == []

"""deploy/kube-proxy-replacement: what would be applied is what Kubernetes and our own parser accept."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests import is_taken
from wellhead.apiserver.policy import ROLES
from wellhead.cli import proxy
from wellhead.proxy.configuration.load import from_document
from wellhead.proxy.configuration.resolve import resolve
from wellhead.proxy.configuration.settings import SETTINGS, without_effect

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "kube-proxy-replacement"


def objects() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    files = (DEPLOY / name for name in kustomization["resources"])
    return [each for file in files for each in yaml.safe_load_all(file.read_text())]


def of_kind(kind: str) -> dict[str, Any]:
    [found] = (each for each in objects() if each["kind"] == kind)
    return found


@pytest.mark.parametrize("obj", objects(), ids=lambda each: each["kind"])
def test_every_object_is_of_its_schema(obj: dict[str, Any]) -> None:
    assert is_taken(obj)


def test_our_parser_takes_the_configuration() -> None:
    configuration = from_document(yaml.safe_load(of_kind("ConfigMap")["data"]["config.conf"]))
    assert not list(without_effect(configuration))
    config = resolve(configuration)
    assert (config.mode, config.kubeconfig) == ("nftables", "/var/lib/wellhead-proxy/kubeconfig.conf")


def test_the_proxy_takes_its_arguments_and_finds_its_files() -> None:
    pod = of_kind("DaemonSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    name, *flags = container["args"]
    options = {opt for each in proxy.command.params for opt in each.opts}
    assert name == "proxy"
    assert {each.partition("=")[0] for each in flags} <= options
    [mount] = (each for each in container["volumeMounts"] if each["name"] == "configuration")
    [volume] = (each for each in pod["volumes"] if each["name"] == "configuration")
    files = {item["path"] for each in volume["projected"]["sources"] for item in each["configMap"]["items"]}
    configuration = yaml.safe_load(of_kind("ConfigMap")["data"]["config.conf"])
    named = {flags[0].partition("=")[2], configuration["clientConnection"]["kubeconfig"]}
    assert named == {f"{mount['mountPath']}/{each}" for each in files}


def test_the_pod_runs_wherever_kube_proxy_does() -> None:
    daemon_set = of_kind("DaemonSet")["spec"]
    pod = daemon_set["template"]["spec"]
    [container] = pod["containers"]
    assert (pod["hostNetwork"], pod["priorityClassName"]) == (True, "system-node-critical")
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert daemon_set["updateStrategy"]["type"] == "RollingUpdate"
    paths = {each["hostPath"]["path"] for each in pod["volumes"] if "hostPath" in each}
    assert paths == {"/run/xtables.lock"}
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_what_needs_full_privileges_is_done_before_and_ends() -> None:
    pod = of_kind("DaemonSet")["spec"]["template"]["spec"]
    [settings], [container] = pod["initContainers"], pod["containers"]
    assert settings["args"] == [*container["args"], "--init-only"]
    assert settings["image"] == container["image"]
    assert settings["securityContext"]["privileged"]


def test_the_role_is_the_node_proxiers() -> None:
    found = {
        (group, resource, verb)
        for rule in of_kind("ClusterRole")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    known = {
        access
        for rule in ROLES["wellhead:proxy"]
        for access in itertools.product(rule.groups, rule.resources, rule.verbs)
    }
    assert found == known
    account = of_kind("ServiceAccount")["metadata"]
    [subject] = of_kind("ClusterRoleBinding")["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert of_kind("DaemonSet")["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


def test_the_document_for_operators_names_every_field_without_effect() -> None:
    text = (ROOT / "docs" / "replacing-kube-proxy.md").read_text()
    sections = ("ipvs", "winkernel", "logging")
    fields = {each.name for each in SETTINGS if each.unused and each.path[0] not in sections}
    assert [each for each in sorted(fields) if f"`{each}`" not in text] == []

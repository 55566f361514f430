"""deploy/network-policy: what would be applied is what Kubernetes and our own command line accept."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests import is_taken
from wellhead import __version__
from wellhead.apiserver.policy import ROLES
from wellhead.cli import policy
from wellhead.images.components.catalog import COMPONENTS

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "network-policy"


def objects() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    files = (DEPLOY / name for name in kustomization["resources"])
    return [each for file in files for each in yaml.safe_load_all(file.read_text())]


def container() -> dict[str, Any]:
    [pod] = (each["spec"]["template"]["spec"] for each in objects() if each["kind"] == "DaemonSet")
    [found] = pod["containers"]
    return dict(found)


DEFINITION = yaml.safe_load((DEPLOY / "clusternetworkpolicies.yaml").read_text())


@pytest.mark.parametrize("obj", [*objects(), DEFINITION], ids=lambda each: each["kind"])
def test_every_object_is_of_its_schema(obj: dict[str, Any]) -> None:
    assert is_taken(obj)


def test_the_command_takes_its_arguments() -> None:
    name, *flags = container()["args"]
    assert name == "policy"
    context = policy.command.make_context(name, flags)
    host, port = context.params["healthz_bind_address"]
    assert container()["livenessProbe"]["httpGet"] == {"host": host, "path": "/livez", "port": port}


def test_its_image_is_one_that_is_built() -> None:
    assert container()["image"] in {f"{each.repository}:{__version__}" for each in COMPONENTS}


def test_its_rights_are_those_that_it_has_here() -> None:
    here = {
        access
        for rule in ROLES["wellhead:policy"]
        for access in itertools.product(rule.groups, rule.resources, rule.verbs)
    }
    there = {
        access
        for obj in objects()
        if obj["kind"] == "ClusterRole"
        for rule in obj["rules"]
        for access in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    assert there == here

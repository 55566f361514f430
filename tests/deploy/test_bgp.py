"""deploy/bgp, as kustomize puts it together: what Kubernetes and our own command line accept."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubectl.binaries import CURRENT
from tests.manifests import is_taken
from wellhead import __version__
from wellhead.cli import bgp, cloud
from wellhead.images.components.catalog import BIRD, COMPONENTS

DEPLOY = Path(__file__).parents[2] / "deploy" / "bgp"


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    done = subprocess.run([CURRENT, "kustomize", DEPLOY], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def container(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [workload] = [each for each in objects if each["kind"] == kind]
    [found] = workload["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_every_object_is_of_its_schema(objects: list[dict[str, Any]]) -> None:
    for obj in objects:
        assert is_taken(obj)


def test_the_speaker_takes_its_arguments(objects: list[dict[str, Any]]) -> None:
    found = container(objects, "DaemonSet")
    context = bgp.command.make_context(*_command(found))
    assert [str(each.address) for each in context.params["peer"]] == ["10.240.0.1"]
    host, port = context.params["healthz_bind_address"]
    assert found["livenessProbe"]["httpGet"] == {"host": host, "path": "/livez", "port": port}
    [image] = [each for each in COMPONENTS if BIRD in each.programs]
    assert found["image"] == f"{image.repository}:{__version__}"


def test_the_controller_gives_vips_and_forwards_nothing(objects: list[dict[str, Any]]) -> None:
    found = container(objects, "Deployment")
    context = cloud.command.make_context(*_command(found))
    assert context.params["bgp"]
    assert context.params["leader_elect"]
    assert not context.params["announce"]
    assert found["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def _command(found: dict[str, Any]) -> tuple[str, list[str]]:
    name, *flags = found["args"]
    return name, flags

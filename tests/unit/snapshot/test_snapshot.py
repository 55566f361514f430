"""Snapshots: what is in them, what never is, and that answers stay the same without names and addresses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.paths.objects import (
    CLUSTER,
    FLANNEL,
    LOCAL,
    NODES,
    TWO,
    Obj,
    config_map,
    kind,
    kube_proxy,
    pod,
    service,
    world,
)
from tests.unit.paths.test_balancers import L2
from wellhead.cli.snapshot import command
from wellhead.paths.explain import Question
from wellhead.paths.report import explain
from wellhead.snapshot.anonymise import Anonymiser
from wellhead.snapshot.files import read_text

VIP = [{"ip": "198.18.5.5", "ipMode": "VIP"}]
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys", "namespace": "team"},
    "data": {"k": "c2VjcmV0"},
}
OTHER = config_map("settings", "team", password="hunter2")
OBJECTS = [
    *NODES,
    *FLANNEL,
    *L2,
    kube_proxy(),
    service(type="LoadBalancer", ingress=VIP, **CLUSTER),
    TWO,
    pod("shell", "10.50.3.20", "cairo"),
]


def snapshot(tmp_path: Path, objects: list[Obj], *options: str) -> list[Obj]:
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    done = CliRunner().invoke(command, ["-f", str(file), *options], catch_exceptions=False)
    assert done.exit_code == 0
    return [json.loads(line) for line in done.output.splitlines()]


def test_an_object_a_line_and_never_a_secret(tmp_path: Path) -> None:
    found = snapshot(tmp_path, [*OBJECTS, SECRET, OTHER])
    assert [each["kind"] for each in found] == [each["kind"] for each in OBJECTS]
    assert "hunter2" not in json.dumps(found)


def shape(objects: list[Obj], target: str, *from_: str) -> list[tuple[object, ...]]:
    """Answers without names and addresses."""
    report = explain(world(objects), Question(target, "", from_))
    return [
        (
            way.frontend,
            way.port,
            each.share,
            each.disposition,
            each.seen_as,
            [step.code for step in each.steps],
            each.source is not None,
        )
        for way in report.ways
        for each in way.outcomes
    ]


@pytest.mark.parametrize("policy", [CLUSTER, LOCAL])
def test_anonymised_answers_are_the_same(policy: dict[str, str]) -> None:
    objects = [
        *NODES,
        *FLANNEL,
        *L2,
        kube_proxy(),
        service(type="LoadBalancer", ingress=VIP, **policy),
        TWO,
        pod("shell", "10.50.3.20", "cairo"),
    ]
    changed = Anonymiser(objects, "salt").objects()
    written = json.dumps(changed)
    for name in ("oslo", "lima", "cairo", "shell", "team", "10.50.1.5", "198.18.5.5", "10.9.0.1"):
        assert name not in written, name
    name = next(each["metadata"]["name"] for each in changed if each["kind"] == "Service")
    assert shape(changed, f"svc/{name}") == shape(objects, "svc/api")
    assert Anonymiser(objects, "salt").objects() == changed
    assert Anonymiser(objects, "other").objects() != changed


def test_a_gateway_stays_the_first_address() -> None:
    changed = Anonymiser(OBJECTS, "salt").objects()
    name = next(each["metadata"]["name"] for each in changed if each["kind"] == "Service")
    report = explain(world(changed), Question(f"svc/{name}", "", ("outside",)))
    sources = {str(each.source).rpartition(".")[2] for each in report.ways[0].outcomes}
    assert sources == {"0", "1"}


def test_what_is_not_as_it_should_be_is_read_all_the_same() -> None:
    lines = b'{"kind":"Node","metadata":{"name":"oslo","labels":{"a":1}}}\n'
    lines += b'{"kind":"Pod","metadata":7}\n{"kind":"Service"}\n'
    assert [each.kind for each in read_text(lines, "x")] == ["Node", "Pod", "Service"]
    assert [
        each.kind
        for each in read_text(
            b'{"kind":"ServiceList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}', "x"
        )
    ] == ["Service"]
    assert read_text(b"", "x") == []
    assert [each.name for each in read_text(json.dumps(kind("Wonder", name="w")).encode(), "x")] == ["w"]

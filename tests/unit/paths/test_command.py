"""`wellhead explain` as a person and a CI job type it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from tests.unit.paths.objects import (
    CLUSTER,
    FLANNEL,
    LOCAL,
    NODES,
    ONE,
    TWO,
    Obj,
    kube_proxy,
    pod,
    service,
)
from wellhead.cli.explain import command
from wellhead.paths.schema import schema


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(command, list(arguments), input=stdin, catch_exceptions=False)


def manifests(path: Path, *objects: Obj) -> str:
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


@pytest.fixture
def under_cluster(tmp_path: Path) -> str:
    return manifests(
        tmp_path / "cluster.yaml", *NODES, *FLANNEL, kube_proxy(), service(type="NodePort", **CLUSTER), TWO
    )


@pytest.fixture
def under_local(tmp_path: Path) -> str:
    return manifests(
        tmp_path / "local.yaml", *NODES, *FLANNEL, kube_proxy(), service(type="NodePort", **LOCAL), TWO
    )


def test_expectations_are_met_lost_or_open(under_cluster: str, under_local: str, tmp_path: Path) -> None:
    lost = run("svc/api", "-n", "team", "-f", under_cluster, "--expect-source", "client")
    assert (lost.exit_code, lost.output.count("LOST  outside → 10.9.0.")) == (1, 3)
    kept = run("svc/api", "-n", "team", "-f", under_local, "--expect-source", "client")
    assert (kept.exit_code, kept.output) == (0, "")
    strange = service(
        type="LoadBalancer", ingress=[{"ip": "198.18.5.5"}], loadBalancerClass="example.com/x", **LOCAL
    )
    unknown = manifests(tmp_path / "unknown.yaml", *NODES, kube_proxy(), strange, ONE)
    found = run("198.18.5.5:80", "-f", unknown, "--expect-source", "client")
    assert (found.exit_code, "UNKNOWN  outside → 198.18.5.5:80" in found.output) == (3, True)
    by_default = run("-f", under_cluster, "--expect-source", "client")
    assert by_default.exit_code == 1


def test_expectations_of_others_than_outside(under_cluster: str) -> None:
    inside = run("10.60.0.1:80", "-f", under_cluster, "--expect-source", "client", "--from", "10.50.1.9")
    assert inside.exit_code == 0
    node = run(
        "svc/api",
        "-n",
        "team",
        "-f",
        under_cluster,
        "--expect-source",
        "client",
        "--from",
        "node/oslo",
        "--node",
        "oslo",
    )
    assert node.exit_code == 0


def test_a_difference_says_what_changes_for_whom(under_cluster: str, under_local: str) -> None:
    found = run("svc/api", "-n", "team", "--diff", under_cluster, under_local, "--from", "outside")
    assert found.exit_code == 1
    assert (
        "~ outside → 10.9.0.3:31000/TCP (team/api): 10.50.3.0, an address of cairo  ⇒  nothing: a time-out"
        in found.output
    )
    same = run("--diff", under_cluster, under_cluster)
    assert (same.exit_code, same.output) == (0, "Nothing changes for anybody.\n")
    assert len(json.loads(run("--diff", under_cluster, under_local, "-o", "json").output)) > 3


def test_json_is_as_published(under_local: str) -> None:
    found = json.loads(run("svc/api", "-n", "team", "-f", under_local, "-o", "json").output)
    jsonschema_rs.Draft202012Validator(json.loads(json.dumps(schema()))).validate(found)
    assert json.loads(run("--schema").output) == json.loads(json.dumps(schema()))


@pytest.mark.parametrize("form", ["wide", "svg", "mermaid", "markdown"])
def test_other_forms(under_local: str, form: str) -> None:
    found = run("svc/api", "-n", "team", "-f", under_local, "-o", form)
    assert found.exit_code == 0
    assert "10.9.0.1:31000" in found.output


@pytest.mark.parametrize("form", ["list", "json", "lines", "directory", "stdin"])
def test_objects_come_in_many_forms(tmp_path: Path, form: str) -> None:
    objects = [
        *NODES,
        *FLANNEL,
        kube_proxy(),
        service(type="NodePort", **LOCAL),
        ONE,
        {"kind": "Wonder", "metadata": None},
    ]
    as_list = {"apiVersion": "v1", "kind": "List", "items": objects}
    place, stdin = tmp_path / "objects", ""
    if form == "list":
        place.write_text(yaml.safe_dump(as_list))
    elif form == "json":
        place.write_text(json.dumps(as_list, indent=2))
    elif form == "lines":
        place.write_text("\n".join(map(json.dumps, objects)))
    elif form == "directory":
        (place / "deeper").mkdir(parents=True)
        (place / "a.yaml").write_text(yaml.safe_dump_all(objects[:4]))
        (place / "deeper" / "b.json").write_text(json.dumps(objects[4:]))
        (place / "README.md").write_text("{ not for us")
    else:
        stdin = yaml.safe_dump_all(objects)
    found = run("svc/api", "-n", "team", "-f", "-" if stdin else str(place), stdin=stdin)
    assert (found.exit_code, "the client at 10.9.0.1:31000" in found.output) == (0, True)


def test_several_files_are_one_cluster(under_local: str, tmp_path: Path) -> None:
    more = manifests(tmp_path / "pods.yaml", pod("shell", "10.50.2.40", "lima"))
    found = run("svc/api", "-n", "team", "-f", under_local, "-f", more, "--from", "pod/shell")
    assert "pod/shell" in found.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["svc/nobody"], "there is no Service 'nobody'"),
        (["svc/api", "--from", "pod/nobody"], "there is no pod 'nobody'"),
        (["svc/api", "--from", "a b"], "is neither outside, an address, pod/NAME nor node/NAME"),
        (["svc/api", "--node", "nobody"], "there is no node 'nobody'"),
        (["deployment/api"], "say svc/NAME, pod/NAME or ADDRESS[:PORT]"),
    ],
)
def test_mistakes_are_told_with_what_there_is(under_local: str, arguments: list[str], said: str) -> None:
    found = run(*arguments, "-f", under_local)
    assert (found.exit_code != 0, said in found.output) == (True, True)


def test_a_client_pod_is_found_by_its_name_alone_where_there_is_one(under_local: str, tmp_path: Path) -> None:
    shell = manifests(tmp_path / "pods.yaml", pod("shell", "10.50.2.40", "lima", namespace="tools"))
    found = run("10.9.0.2:31000", "-f", under_local, "-f", shell, "--from", "pod/shell")
    assert (found.exit_code, "the client, 10.50.2.40" in found.output) == (0, True)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in run("svc/api", "-f", str(tmp_path / "nothing.yaml")).output
    (tmp_path / "broken.yaml").write_text("a: [")
    assert "broken.yaml: neither YAML nor JSON" in run("svc/api", "-f", str(tmp_path / "broken.yaml")).output


def test_without_a_target_every_service_gets_a_line(under_cluster: str) -> None:
    assert run("-f", under_cluster).output.startswith("team/api: outside → a node port: the server sees")


def test_help_imports_nothing_of_the_model() -> None:
    look = """
import sys
from wellhead.cli.main import main
try:
    main(["explain", "--help"])
except SystemExit:
    pass
heavy = ("aiohttp", "yaml", "msgspec", "wellhead.paths", "wellhead.snapshot")
print(sorted(each for each in sys.modules if each.startswith(heavy)))
"""
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


NEVER_APPLIED = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: %s, externalTrafficPolicy: %s, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.mark.parametrize(
    ("kind", "policy", "said"),
    [
        (
            "LoadBalancer",
            "Local",
            "outside → <load balancer>:80 (the load balancer's address): the server sees the client",
        ),
        ("NodePort", "Local", "outside → a node port: the server sees the client at <a-node>:"),
        (
            "NodePort",
            "Cluster",
            "outside → a node port: the server sees an address of the node that was dialled at",
        ),
    ],
)
def test_manifests_that_no_cluster_has_seen_are_answered_by_example(
    kind: str, policy: str, said: str
) -> None:
    found = run("svc/web", "-f", "-", stdin=NEVER_APPLIED % (kind, policy))
    assert found.output.startswith(said)
    assert "AssumesExampleNodes" in found.output
    assert "0.0." not in run("svc/web", "-f", "-", "-o", "json", stdin=NEVER_APPLIED % (kind, policy)).output


def test_targets_complete_from_the_files_on_the_line(under_local: str) -> None:
    completion = ShellComplete(command, {}, "explain", "_EXPLAIN_COMPLETE")
    found = completion.get_completions(["-f", under_local], "s")
    assert [each.value for each in found] == ["svc/api"]
    assert [each.value for each in completion.get_completions([], "p")] == ["pod/"]

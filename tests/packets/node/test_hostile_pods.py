"""Pods that try to reach what is the node's, and what kubectl shows of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.lab import Lab, eventually
from tests.packets.node.cluster_pods import container, create, shell, status, wait, waits_for
from tests.patience import PATIENCE

pytestmark = pytest.mark.usefixtures("no_pods_left")


def _directories(lab: Lab, uid: str) -> str:
    """The directories of a pod on the node."""
    return lab.on("node-1", "find", f"/var/lib/wellhead/{lab.name}", "-maxdepth", "6", "-name", uid)


@pytest.mark.parametrize("target", ["/etc", "../../../../../../../etc", "/proc/self/root/etc"])
def test_a_part_of_a_volume_is_no_way_out_of_it(lab: Lab, target: str) -> None:
    volume = {"name": "v", "mountPath": "/v"}
    create(
        lab,
        "escape",
        shell("main", "ls /x", volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": "evil"}]),
        initContainers=[shell("first", f"ln -s {target} /v/evil", volumeMounts=[volume])],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    message = waits_for(lab, "escape", "CreateContainerConfigError")
    assert message.startswith('failed to prepare subPath for volumeMount "v" of container "main": ')
    lab.kubectl("delete", "pod", "escape", "--grace-period=1")
    assert "root:" in lab.on("node-1", "cat", "/etc/passwd")


def test_parts_of_volumes_are_shown_and_made(lab: Lab) -> None:
    lab.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "1"}})
    mounts = [
        {"name": "v", "mountPath": "/made", "subPath": "new/deep"},
        {"name": "v", "mountPath": "/named", "subPathExpr": "of-$(NAME)"},
        {"name": "cm", "mountPath": "/file", "subPath": "a"},
    ]
    script = "cat /file; touch /made/x /named/y; ls /v; ls /v/new/deep; sleep 1000"
    create(
        lab,
        "parts",
        shell(
            "main",
            script,
            env=[{"name": "NAME", "value": "me"}],
            securityContext={"runAsUser": 1000},
            volumeMounts=[*mounts, {"name": "v", "mountPath": "/v"}],
        ),
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "cm", "configMap": {"name": "cm"}}],
    )
    wait(lab, "parts")
    eventually(lambda: lab.kubectl("logs", "parts"), "1new\nof-me\nx\n")


@pytest.mark.parametrize(("value", "problem"), [("../..", "must not contain '..'"), ("/etc", "relative")])
def test_a_variable_is_no_way_out_of_a_volume(lab: Lab, value: str, problem: str) -> None:
    mount = {"name": "v", "mountPath": "/x", "subPathExpr": "$(WHERE)"}
    main = shell("main", "ls /x", env=[{"name": "WHERE", "value": value}], volumeMounts=[mount])
    create(lab, "variable", main, volumes=[{"name": "v", "emptyDir": {}}])
    assert problem in waits_for(lab, "variable", "CreateContainerConfigError")


def test_last_words_are_the_containers_whatever_it_puts_in_their_place(lab: Lab) -> None:
    """A link to a file of the host, in a volume that holds the file for the last words."""
    script = "echo mine > /v/said; rm -f /v/link; ln -s /etc/hostname /v/link; exit 3"
    mount = {"name": "v", "mountPath": "/v"}
    main = shell("main", script, volumeMounts=[mount], terminationMessagePath="/v/said")
    create(lab, "words", main, restartPolicy="Never", volumes=[{"name": "v", "emptyDir": {}}])
    wait(lab, "words", "jsonpath={.status.phase}=Failed")
    assert container(lab, "words")["state"]["terminated"]["message"] == "mine\n"


def test_a_deep_tree_with_links_goes_and_what_they_lead_to_stays(lab: Lab, tmp_path: Path) -> None:
    script = (
        "cd /v; ln -s /etc/passwd file; ln -s / root; i=0;"
        "while [ $i -lt 1500 ]; do mkdir d; cd d; i=$((i+1)); done; echo made; sleep 1000"
    )
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "host", "mountPath": "/v/host"}]
    (tmp_path / "kept").write_text("x")
    create(
        lab,
        "deep",
        shell("main", script, volumeMounts=mounts),
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "host", "hostPath": {"path": str(tmp_path)}}],
    )
    eventually(lambda: lab.kubectl("logs", "deep", check=False), "made\n")
    uid = lab.get("pod", "deep")["metadata"]["uid"]
    assert _directories(lab, uid)
    lab.kubectl("delete", "pod", "deep", "--grace-period=1")
    eventually(lambda: _directories(lab, uid), "", seconds=4 * PATIENCE)  # it is a lot to remove
    assert (tmp_path / "kept").read_text() == "x"
    assert "root:" in lab.on("node-1", "cat", "/etc/passwd")


@pytest.mark.parametrize(
    "path",
    [
        "containerLogs/default/..%2f..%2f..%2fetc%2fpasswd/main",
        "containerLogs/default/there/..%2f..%2fmain",
        "containerLogs/default/there/main%00",
        "logs/..%2f..%2fetc/passwd",
        "logs/../../../etc/passwd",
    ],
)
def test_the_agents_server_has_no_files(lab: Lab, path: str) -> None:
    create(lab, "there", shell("main", "sleep 1000"))
    wait(lab, "there")
    answer = lab.kubectl("get", "--raw", f"/api/v1/nodes/node-1/proxy/{path}", check=False)
    assert "root:" not in answer
    assert status(lab, "there")["phase"] == "Running"

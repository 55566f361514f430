"""A pod that mounts its node's files finds what is its node's there, and nobody else's keys."""

from __future__ import annotations

import pytest

from tests.cluster.lab import Lab
from wellhead.lab.cluster import IMAGE_CACHE, Cluster

BUSYBOX = "busybox"
OWN = {"node-1", "node-1-policy", "node-1-proxy", "node-1-storage", "node-network"}


@pytest.fixture(scope="module")
def spy(lab: Lab, namespace: str) -> str:
    """A pod on node-1 that sees all of its node's files and processes."""
    mount = {"name": "host", "mountPath": "/host"}
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "3600"], "volumeMounts": [mount]}
    volume = {"name": "host", "hostPath": {"path": "/"}}
    spec = {"nodeName": "node-1", "hostPID": True, "containers": [container], "volumes": [volume]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "spy", "namespace": namespace},
        "spec": spec,
    }
    lab.apply(pod)
    lab.kubectl("wait", "--for=condition=Ready", "pod/spy", "-n", namespace, "--timeout=60s")
    return "spy"


def run(lab: Lab, namespace: str, pod: str, script: str) -> list[str]:
    return lab.kubectl("exec", "-n", namespace, pod, "--", "sh", "-c", script, check=False).split()


def test_a_node_has_its_own_files_of_the_clusters_and_no_others(lab: Lab, namespace: str, spy: str) -> None:
    names = run(lab, namespace, spy, "cd /host/var/lib/wellhead && find . -type f ! -path './*/nodes/*'")
    assert {name.rpartition("/")[2] for name in names} == OWN | {
        "ca.crt",
        "node-1-server.crt",
        "node-1-server.key",
    }
    assert {name.split("/")[1] for name in names} == {lab.name}
    assert run(lab, namespace, spy, "ls /host/var/lib/wellhead/*/nodes") == ["node-1"]


@pytest.mark.parametrize(
    "file", ["ca.key", "admin.key", "node-2.key", "apiserver.key", "service-account.key"]
)
def test_no_others_key_is_in_reach_of_a_nodes_pod(lab: Lab, namespace: str, spy: str, file: str) -> None:
    line = (Cluster(lab.name).pki / file).read_text().splitlines()[1]
    key = f"'[{line[0]}]{line[1:]}'"  # so that what looks for it isn't found
    state = "/host/var/lib/wellhead"
    places = f"{state} {state}/{lab.name}/nodes/node-1 /host/run /host/etc"
    assert run(lab, namespace, spy, f"find {places} -xdev -type f -exec grep -ls {key} {{}} +") == []
    script = f"""
    for process in /proc/[0-9]*; do
        grep -ls {key} $process/environ $process/cmdline
        find $process/root/var/lib/wellhead -name {file} 2>/dev/null
        find $process/cwd/ -maxdepth 3 -name {file} 2>/dev/null
    done
    """
    assert run(lab, namespace, spy, script) == []


def test_a_nodes_pod_cant_write_what_images_are_made_of(lab: Lab, namespace: str, spy: str) -> None:
    for root in ("/host", "/proc/1/root"):
        cache = f"{root}{IMAGE_CACHE}"
        for attempt in (
            f"touch {cache}/planted",
            f"for image in {cache}/*/rootfs; do touch $image/planted || exit; done",
            f"for busybox in {cache}/*/rootfs/bin/busybox; do echo >>$busybox || exit; done",
            f"mv {cache}/.news {cache}/.olds",
        ):
            assert run(lab, namespace, spy, f"({attempt}) 2>/dev/null || echo refused") == ["refused"], (
                attempt
            )
    # Others load images there meanwhile.
    assert not [*IMAGE_CACHE.glob("planted"), *IMAGE_CACHE.glob("*/rootfs/planted")]
    assert not (IMAGE_CACHE / ".olds").exists()


def test_kubectl_works_on_a_machine_that_has_no_administrators_kubeconfig(lab: Lab) -> None:
    for host in ("node-1", "client", "control-plane"):
        assert "node-1" in lab.wellhead("exec", host, "--", "kubectl", "get", "nodes", "-o", "name")
        listed = lab.on(host, "sh", "-c", "find /var/lib/wellhead -name 'admin*'", check=False)
        assert host == "client" or listed == ""


def test_the_clusters_directory_is_roots_alone(lab: Lab) -> None:
    cluster = Cluster(lab.name)
    for directory in (cluster.root, cluster.directory, cluster.pki, cluster.kubeconfigs, cluster.logs):
        assert directory.stat().st_mode & 0o777 == 0o700, directory
    files = [path for path in cluster.directory.rglob("*") if not path.is_dir()]
    own = [path for path in files if not path.is_relative_to(cluster.directory / "nodes")]
    assert own
    assert [path for path in own if path.lstat().st_mode & 0o077] == []

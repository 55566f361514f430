"""A claim, its directory on a node, and pods that come and go: with the cluster's class, and by hand."""

from __future__ import annotations

from tests.cluster.lab import Lab, Obj
from tests.patience import until
from wellhead.lab.cluster import Cluster


def claim(name: str, **spec: object) -> Obj:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def pod(name: str, script: str, claim: str, **spec: object) -> Obj:
    container = {
        "name": "main",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "d", "mountPath": "/d"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": claim}}],
            **spec,
        },
    }


def test_what_a_pod_writes_the_next_one_reads_until_the_claim_goes(lab: Lab, namespace: str) -> None:
    at = ("-n", namespace)

    def apply(*objects: Obj) -> None:
        for each in objects:
            each["metadata"]["namespace"] = namespace
        lab.apply(*objects)

    apply(claim("data"))
    apply(pod("writer", "echo kept >/d/f", "data", securityContext={"fsGroup": 1234}))
    lab.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", *at, "--timeout=60s")
    node = lab.get("pod", "writer", namespace)["spec"]["nodeName"]
    lab.kubectl("delete", "pod", "writer", *at)
    apply(pod("reader", "cat /d/f; sleep 1000", "data"))
    lab.kubectl("wait", "--for=condition=Ready", "pod/reader", *at, "--timeout=60s")
    assert lab.get("pod", "reader", namespace)["spec"]["nodeName"] == node
    until(lambda: lab.kubectl("logs", "reader", *at).strip() == "kept")
    volume = lab.get("pvc", "data", namespace)["spec"]["volumeName"]
    directory = Cluster(lab.name).node_directory(node) / "local-path" / volume
    assert (directory / "f").read_text() == "kept\n"
    lab.kubectl("delete", "pvc", "data", "--wait=false", *at)
    assert lab.get("pvc", "data", namespace)["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    lab.kubectl("delete", "pod", "reader", *at)
    lab.kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=60s")
    until(lambda: not directory.exists())


def test_a_volume_that_was_made_by_hand_is_bound_and_what_is_elsewhere_is_said(
    lab: Lab, namespace: str
) -> None:
    at = ("-n", namespace)
    spec = {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    names = {"hostPath": f"{namespace}-host", "nfs": f"{namespace}-nfs"}
    sources = {"hostPath": {"path": f"/tmp/{names['hostPath']}"}, "nfs": {"server": "s", "path": "/p"}}
    try:
        for kind, name in names.items():
            lab.apply(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": name},
                    "spec": {**spec, kind: sources[kind]},
                }
            )
            made = claim(kind.lower(), storageClassName="", volumeName=name)
            made["metadata"]["namespace"] = namespace
            user = pod(kind.lower(), "sleep 1000", kind.lower())
            user["metadata"]["namespace"] = namespace
            lab.apply(made, user)
        lab.kubectl("wait", "--for=condition=Ready", "pod/hostpath", *at, "--timeout=60s")
        assert lab.get("pvc", "hostpath", namespace)["status"]["capacity"] == {"storage": "2Gi"}
        until(lambda: "volumes of type nfs are not supported" in lab.kubectl("describe", "pod", "nfs", *at))
    finally:
        lab.kubectl("delete", "pod", "--all", *at)
        lab.kubectl("delete", "pvc", "--all", *at)
        lab.kubectl("delete", "pv", *names.values())
        lab.on("node-1", "sh", "-c", f"rm -rf /tmp/{names['hostPath']}")


def test_an_images_files_are_a_volume_that_nobody_writes_to(lab: Lab, namespace: str) -> None:
    made = pod("files", "ls /d/bin/busybox; touch /d/x; sleep 1000", "unused")
    made["metadata"]["namespace"] = namespace
    made["spec"]["volumes"] = [{"name": "d", "image": {"reference": "busybox", "pullPolicy": "IfNotPresent"}}]
    lab.apply(made)
    lab.kubectl("wait", "--for=condition=Ready", "pod/files", "-n", namespace, "--timeout=60s")
    until(lambda: "Read-only file system" in lab.kubectl("logs", "files", "-n", namespace))
    assert "/d/bin/busybox" in lab.kubectl("logs", "files", "-n", namespace)
    lab.kubectl("delete", "pod", "files", "--now", "-n", namespace)

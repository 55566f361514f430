"""Memory, processors and onlookers of a running pod, as the kernel has them."""

from __future__ import annotations

import json

from tests.cluster.lab import Lab, Obj
from tests.patience import until


def pod(name: str, namespace: str, script: str, **fields: object) -> Obj:
    container = {
        "name": "main",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        **fields,
    }
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_too_much_memory_kills_or_it_is_said_that_it_does_not(lab: Lab, namespace: str) -> None:
    script = "i=0; x=x; while [ $i -lt 26 ]; do x=$x$x; i=$((i+1)); done"
    lab.apply(pod("greedy", namespace, script, resources={"limits": {"memory": "20Mi"}}))

    def state() -> Obj:
        statuses = lab.get("pod", "greedy", namespace)["status"].get("containerStatuses") or [{}]
        found: Obj = statuses[0].get("state") or {}
        return found

    def said() -> bool:
        return "limits of memory are not enforced" in lab.kubectl(
            "describe", "pod", "greedy", "-n", namespace
        )

    reason = until(lambda: state().get("terminated", {}).get("reason"))
    assert reason == "OOMKilled" or until(said)


def test_a_resize_is_seen_and_an_onlooker_sees_its_targets_processes(lab: Lab, namespace: str) -> None:
    at = ("-n", namespace)
    resources = {"requests": {"cpu": "100m", "memory": "20Mi"}, "limits": {"cpu": "500m"}}
    lab.apply(pod("target", namespace, "sleep 12345", resources=resources))
    lab.kubectl("wait", "--for=condition=Ready", "pod/target", *at, "--timeout=60s")
    change = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "700m"}}}]}}
    lab.kubectl("patch", "pod", "target", "--subresource=resize", "-p", json.dumps(change), *at)

    def status() -> Obj:
        found: Obj = lab.get("pod", "target", namespace)["status"]["containerStatuses"][0]
        return found

    until(lambda: status()["resources"]["limits"] == {"cpu": "700m"})
    assert status()["restartCount"] == 0
    onlooker = {
        "name": "onlooker",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "ps"],
        "targetContainerName": "main",
    }
    body = {"spec": {"ephemeralContainers": [onlooker]}}
    lab.kubectl("patch", "pod", "target", "--subresource=ephemeralcontainers", "-p", json.dumps(body), *at)
    until(lambda: "sleep 12345" in lab.kubectl("logs", "target", "-c", "onlooker", *at, check=False))
    lab.kubectl("delete", "pod", "target", "greedy", "--now", "--ignore-not-found", *at)

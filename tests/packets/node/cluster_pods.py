"""Pods for tests, made and read through kubectl."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cluster.lab import Lab
from tests.patience import until

Obj = dict[str, Any]

TICKING = "trap 'echo got TERM; exit 3' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"


def shell(name: str, script: str, **fields: Any) -> Obj:
    """A container that runs a script of busybox's shell."""
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **fields}


def create(lab: Lab, name: str, *containers: Obj, **spec: Any) -> None:
    """A pod that ends within a second when it is told to."""
    for container in containers:
        container.setdefault("image", "busybox")
    lab.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec},
        },
    )


def wait(lab: Lab, name: str, condition: str = "condition=Ready") -> None:
    lab.kubectl("wait", f"--for={condition}", f"pod/{name}", "--timeout=60s")


def status(lab: Lab, name: str) -> Obj:
    found: Obj = lab.get("pod", name)["status"]
    return found


def container(lab: Lab, pod: str, name: str = "main") -> Obj:
    """The container's status; {} before there is one."""
    listed = status(lab, pod).get("containerStatuses") or ()
    return next((each for each in listed if each["name"] == name), {})


def waiting(lab: Lab, pod: str, name: str = "main") -> Callable[[], Obj]:
    """Asks why the container doesn't run."""
    return lambda: (container(lab, pod, name).get("state") or {}).get("waiting") or {}


def waits_for(lab: Lab, pod: str, *reasons: str) -> str:
    """What is said of the container's not running, once it is for one of these reasons."""
    found = until(waiting(lab, pod), lambda now: now.get("reason") in reasons)
    return str(found["message"])


def processes(lab: Lab) -> list[str]:
    """The containers that run on the node, by conmon's command lines."""
    lines = lab.on("node-1", "ps", "-e", "-o", "args").splitlines()
    return [line for line in lines if line.startswith("conmon ")]

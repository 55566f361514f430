"""Pods and records for tests."""

from __future__ import annotations

from typing import Any

from wellhead.node.pods.record import Attempt, ContainerRecord, PodRecord
from wellhead.node.pods.status import View

Obj = dict[str, Any]


def pod(*containers: Obj, **spec: Any) -> Obj:
    """A pod with these containers (one called `main`, if none)."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "labels": {"app": "web"}},
        "spec": {
            "restartPolicy": "Always",
            "containers": list(containers) or [container("main")],
            **spec,
        },
        "status": {},
    }


def container(name: str, **fields: Any) -> Obj:
    return {"name": name, "image": "busybox", **fields}


def view(**fields: Any) -> View:
    return View(("10.240.0.11",), **fields)


def running(number: int = 0, *, ready: bool = True, started: bool = True) -> ContainerRecord:
    attempt = Attempt("id", number, "busybox", "sha256:1", launched=True, started=started, ready=ready)
    attempt.started_at = "2026-01-01T00:00:00Z"
    return ContainerRecord(current=attempt)


def ended(code: int, number: int = 0) -> ContainerRecord:
    found = running(number, ready=False)
    assert found.current is not None
    found.current.finished_at = "2026-01-01T00:00:05Z"
    found.current.exit_code = code
    found.current.reason = "Error" if code else "Completed"
    return found


def record(of: Obj, **containers: ContainerRecord) -> PodRecord:
    return PodRecord(
        of, ips=("10.244.1.7",), sandbox=True, started_at="2026-01-01T00:00:00Z", containers=containers
    )

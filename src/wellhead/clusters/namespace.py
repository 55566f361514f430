"""A namespace of a cluster, for what must not meet anything else's objects."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from wellhead.clusters.cluster import Cluster, Objects
    from wellhead.paths.way import Report
    from wellhead.trace.values import Trace

_LONGEST = 40  # characters of a prefix: a Service's DNS names have 63 for all
_WORDS = re.compile(r"[^a-z0-9]+")


class Namespace:
    """Created when it is entered, under a name that nobody else has, and deleted, with all in it, at the end.

    What it does is what the cluster does, but in this namespace.
    """

    def __init__(self, cluster: Cluster, prefix: str, labels: Mapping[str, str] | None = None) -> None:
        words = _WORDS.sub("-", prefix.lower()).strip("-")[:_LONGEST].strip("-")
        self.cluster = cluster
        self.name = f"{words or 'test'}-{secrets.token_hex(4)}"
        self._labels = dict(labels or {})

    def __str__(self) -> str:
        return self.name

    def __enter__(self) -> Self:
        metadata = {"name": self.name, "labels": self._labels}
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        # Pods need it, and it is made a moment later.
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.kubectl("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 120.0
    ) -> str:
        """`kubectl -n NAMESPACE …`; its standard output. Raises CommandFailed."""
        return self.cluster.kubectl("-n", self.name, *arguments, stdin=stdin, check=check, timeout=timeout)

    def apply(self, *objects: Objects) -> None:
        """`kubectl apply` in this namespace. Raises CommandFailed."""
        self.cluster.apply(*objects, namespace=self.name)

    def get(self, *what: str) -> dict[str, Any]:
        """`kubectl get … -o json` in this namespace. Raises CommandFailed."""
        return self.cluster.get("-n", self.name, *what)

    def ready(self, *pods: str, timeout: float = 60.0) -> None:
        """Wait until pods (names, or none for all of the namespace) are Ready. Raises CommandFailed."""
        which = [f"pod/{name}" for name in pods] or ["pod", "--all"]
        self.kubectl("wait", "--for=condition=Ready", *which, f"--timeout={timeout:g}s", timeout=timeout + 60)

    def deployed(self, *deployments: str, timeout: float = 60.0) -> None:
        """Wait until Deployments have all their pods. Raises CommandFailed."""
        for name in deployments:
            self.kubectl(
                "rollout", "status", f"deployment/{name}", f"--timeout={timeout:g}s", timeout=timeout + 60
            )

    def run(self, pod: str, *command: str, check: bool = True, timeout: float = 60.0) -> str:
        """`kubectl exec`: what a command in a pod prints. Raises CommandFailed."""
        return self.kubectl("exec", pod, "--", *command, check=check, timeout=timeout)

    def address(self, service: str, timeout: float = 60.0) -> str:
        """The first address of a Service of type LoadBalancer, once it has one. Raises CommandFailed."""
        path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
        self.kubectl(
            "wait", f"--for={path}", f"service/{service}", f"--timeout={timeout:g}s", timeout=timeout + 60
        )
        return self.kubectl("get", "service", service, "-o", path)

    def trace(self, to: str, **how: Any) -> Trace:
        """As `Cluster.trace`; names are of this namespace."""
        return self.cluster.trace(to, namespace=self.name, **how)

    def explain(self, target: str, **how: Any) -> Report:
        """As `Cluster.explain`; names are of this namespace."""
        return self.cluster.explain(target, namespace=self.name, **how)

    def events(self) -> str:
        """What has happened, the last at the end."""
        return self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)

    def logs(self, lines: int = 50) -> Mapping[str, str]:
        """The last lines of each container, by `pod/container`."""
        pods = self.get("pods")["items"]
        return {
            f"{pod['metadata']['name']}/{container['name']}": self.kubectl(
                "logs", pod["metadata"]["name"], "-c", container["name"], f"--tail={lines}", check=False
            )
            for pod in pods
            for container in pod["spec"]["containers"]
        }

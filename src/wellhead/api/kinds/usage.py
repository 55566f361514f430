"""NodeMetrics and PodMetrics: what is used at present, measured when somebody asks, never stored.

Upstream has them of metrics-server: k8s.io/metrics. Its own types' schemas are here, since the package that
the others come from doesn't have them.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import NAME, Cell, Column, Printer
from wellhead.api.quantity import Quantity
from wellhead.api.resource import Resource

GROUP, VERSION = "metrics.k8s.io", "v1beta1"

NODE_METRICS = Resource(
    GROUP, VERSION, "NodeMetrics", "nodes", namespaced=False, verbs=("get", "list"), measured=True
)
POD_METRICS = Resource(GROUP, VERSION, "PodMetrics", "pods", verbs=("get", "list"), measured=True)


def node_metrics(node: Obj, timestamp: str, window: str, usage: Obj) -> Obj:
    """Of a whole node."""
    return {**_head(NODE_METRICS, node, timestamp), "timestamp": timestamp, "window": window, "usage": usage}


def pod_metrics(pod: Obj, timestamp: str, window: str, containers: list[Obj]) -> Obj:
    """Of a pod, by container: each has a `name` and its `usage`."""
    head = _head(POD_METRICS, pod, timestamp)
    return {**head, "timestamp": timestamp, "window": window, "containers": containers}


def usage(nano_cores: int, memory: int) -> Obj:
    """As metrics-server writes it; memory in bytes."""
    return {"cpu": f"{nano_cores}n" if nano_cores else "0", "memory": f"{memory // 1024}Ki"}


def _head(resource: Resource, of: Obj, timestamp: str) -> Obj:
    metadata: Obj = {"name": of["metadata"]["name"], "creationTimestamp": timestamp}
    for field in ("namespace", "labels"):
        if of["metadata"].get(field):
            metadata[field] = of["metadata"][field]
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}


def _amounts(usages: list[Obj]) -> tuple[str, str]:
    """Together, as `kubectl top` shows them."""
    cpu = sum(Quantity.parse(each["cpu"]).nanos for each in usages)
    memory = sum(Quantity.parse(each["memory"]).nanos for each in usages)
    return f"{-(-cpu // 10**6)}m", f"{memory // 10**9 // 1024}Ki"


def _node_cells(metrics: Obj, now: datetime) -> list[Cell]:
    return [cells.name(metrics), *_amounts([metrics["usage"]]), metrics["window"]]


def _pod_cells(metrics: Obj, now: datetime) -> list[Cell]:
    usages = [each["usage"] for each in metrics["containers"]]
    return [cells.name(metrics), *_amounts(usages), metrics["window"]]


_COLUMNS = (NAME, Column("cpu"), Column("memory"), Column("Window"))

KINDS = (
    Kind(NODE_METRICS, printer=Printer(_COLUMNS, _node_cells)),
    Kind(POD_METRICS, printer=Printer(_COLUMNS, _pod_cells)),
)

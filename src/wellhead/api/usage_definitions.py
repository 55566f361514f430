"""The schemas of metrics.k8s.io: the types of k8s.io/metrics, which kubernetes-validate hasn't got."""

from __future__ import annotations

from wellhead.api.meta import Obj

PREFIX = "io.k8s.metrics.pkg.apis.metrics"
_V1BETA1 = f"{PREFIX}.v1beta1"
_META = "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1."
_AMOUNTS: Obj = {
    "type": "object",
    "additionalProperties": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.api.resource.Quantity"},
}


def _kind(kind: str, description: str, **fields: Obj) -> Obj:
    return {
        "type": "object",
        "description": description,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"{_META}ObjectMeta"},
            "timestamp": {"$ref": f"{_META}Time", "description": "The end of the time that was measured."},
            "window": {"type": "string", "description": "How long it was measured."},
            **fields,
        },
        "required": ["timestamp", "window", *fields],
        "x-kubernetes-group-version-kind": [{"group": "metrics.k8s.io", "version": "v1beta1", "kind": kind}],
    }


def _list(kind: str) -> Obj:
    return {
        "type": "object",
        "description": f"{kind}List is a list of {kind}.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"{_META}ListMeta"},
            "items": {"type": "array", "items": {"$ref": f"#/$defs/{_V1BETA1}.{kind}"}},
        },
        "required": ["items"],
    }


DEFINITIONS: dict[str, Obj] = {
    f"{_V1BETA1}.NodeMetricsList": _list("NodeMetrics"),
    f"{_V1BETA1}.PodMetricsList": _list("PodMetrics"),
    f"{_V1BETA1}.NodeMetrics": _kind(
        "NodeMetrics", "NodeMetrics is what a node uses.", usage={**_AMOUNTS, "description": "What is used."}
    ),
    f"{_V1BETA1}.PodMetrics": _kind(
        "PodMetrics",
        "PodMetrics is what a pod uses.",
        containers={
            "type": "array",
            "items": {"$ref": f"#/$defs/{_V1BETA1}.ContainerMetrics"},
            "description": "Each container's part of it.",
        },
    ),
    f"{_V1BETA1}.ContainerMetrics": {
        "type": "object",
        "description": "ContainerMetrics is what a container uses.",
        "properties": {"name": {"type": "string"}, "usage": _AMOUNTS},
        "required": ["name", "usage"],
    },
}

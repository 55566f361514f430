"""From a manifest to a pod of this node, and to what the API is shown of it. Pure.

Source: pkg/kubelet/config (common.go, file.go) and pkg/kubelet/pod/mirror_client.go of v1.36.
"""

from __future__ import annotations

import hashlib
from copy import deepcopy

from wellhead.api.documents import read_yaml
from wellhead.api.errors import ApiError
from wellhead.api.kinds.pod.references import MIRROR_ANNOTATION
from wellhead.api.limits import DEFAULTS
from wellhead.api.meta import Obj, now
from wellhead.api.metadata import validate as validate_metadata
from wellhead.api.resources import PODS, kind_of

HASH, SOURCE, SEEN = (f"kubernetes.io/config.{name}" for name in ("hash", "source", "seen"))
LONGEST = 1 << 20
"""Bytes of a file."""


class ManifestError(ValueError):
    """A file that is no pod's manifest; the message says why."""


def read(content: bytes, path: str, node: str) -> Obj:
    """The pod of a file on a node. Raises ManifestError."""
    if len(content) > LONGEST:
        raise ManifestError(f"larger than {LONGEST} bytes")
    try:
        sent = read_yaml(content, DEFAULTS).value
    except ApiError as error:
        raise ManifestError(f"no YAML or JSON: {error.message}") from None
    if not isinstance(sent, dict) or (sent.get("apiVersion"), sent.get("kind")) != ("v1", "Pod"):
        raise ManifestError("it is no v1 Pod")
    if not isinstance(sent.get("metadata"), dict) or not isinstance(sent.get("spec"), dict):
        raise ManifestError("it has no metadata or no spec")
    identity = hashlib.md5(content, usedforsecurity=False)
    identity.update(f"host:{node}file:{path}".encode())
    metadata = sent["metadata"]
    metadata["name"] = f"{metadata.get('name') or ''}-{node.lower()}"
    metadata.setdefault("namespace", "default")
    metadata["uid"] = identity.hexdigest()
    metadata["creationTimestamp"] = now()
    annotations = metadata.get("annotations") or {}
    annotations |= {HASH: metadata["uid"], SOURCE: "file", SEEN: now()}
    metadata["annotations"] = annotations
    spec = sent["spec"]
    spec["nodeName"] = node
    spec["tolerations"] = [*(spec.get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    strategy = kind_of(PODS).strategy
    try:
        strategy.default(sent)
        causes = [*validate_metadata(PODS, sent, strategy.name_check), *strategy.validate_create(sent)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ManifestError(f"it isn't formed as a pod is: {error!r}") from None
    if causes:
        raise ManifestError("; ".join(map(str, causes[:3])))
    return sent


def mirror_of(pod: Obj, node_uid: str) -> Obj:
    """What the API is shown of a static pod."""
    metadata = pod["metadata"]
    shown = deepcopy({**pod, "status": {}})
    shown["metadata"] = {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "labels": dict(metadata.get("labels") or {}),
        "annotations": {**metadata["annotations"], MIRROR_ANNOTATION: metadata["annotations"][HASH]},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": pod["spec"]["nodeName"],
                "uid": node_uid,
                "controller": True,
            }
        ],
    }
    return shown


def is_static(pod: Obj) -> bool:
    """Whether a pod is one of a file's, and not what the API is shown of it."""
    annotations = pod["metadata"].get("annotations") or {}
    return annotations.get(SOURCE) == "file" and MIRROR_ANNOTATION not in annotations


def is_mirror_of(mirror: Obj, pod: Obj) -> bool:
    """Whether the API shows the pod as it is now."""
    annotations = mirror["metadata"].get("annotations") or {}
    return bool(annotations.get(MIRROR_ANNOTATION) == pod["metadata"]["uid"])

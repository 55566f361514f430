"""The defaults of a pod's spec, in pods and in pod templates.

Upstream: pkg/apis/core/v1/defaults.go and its conversions.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.kinds.volume_sources import default_source
from wellhead.api.meta import Obj
from wellhead.api.quantity import canonical

_FILE_MODE = 0o644
_TOKEN_SECONDS = 3600


def containers_of(spec: Obj) -> Iterator[Obj]:
    """Init containers (sidecars among them), then containers."""
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def default_pod_spec(spec: Obj) -> None:
    """In place; of a pod or a template."""
    spec["restartPolicy"] = spec.get("restartPolicy") or "Always"
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec["dnsPolicy"] = spec.get("dnsPolicy") or "ClusterFirst"
    spec.setdefault("securityContext", {})
    spec["schedulerName"] = spec.get("schedulerName") or "default-scheduler"
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # two names of one field, the second from the time before v1
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in (*containers_of(spec), *(spec.get("ephemeralContainers") or ())):
        _default_container(container)
    _make_canonical(spec.get("resources") or {})
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def default_host_ports(spec: Obj) -> None:
    """In the node's network, a container's ports are its ports. Of pods only, not of templates."""
    if not spec.get("hostNetwork"):
        return
    for container in containers_of(spec):
        for port in container.get("ports") or ():
            if not port.get("hostPort") and port.get("containerPort"):
                port["hostPort"] = port["containerPort"]


def default_requests(spec: Obj) -> None:
    """What is limited and not requested is requested in full; of pods only."""
    for container in containers_of(spec):
        limits = container["resources"].get("limits")
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)


def image_pull_policy(image: str) -> str:
    """`Always` for `latest` and no tag at all; `IfNotPresent` for what has a tag or a digest."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if (not digest and not tag) or tag == "latest" else "IfNotPresent"


def _default_container(container: Obj) -> None:
    container["imagePullPolicy"] = container.get("imagePullPolicy") or image_pull_policy(
        container.get("image", "")
    )
    container["terminationMessagePath"] = container.get("terminationMessagePath") or "/dev/termination-log"
    container["terminationMessagePolicy"] = container.get("terminationMessagePolicy") or "File"
    _make_canonical(container.setdefault("resources", {}))
    for port in container.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
    for entry in container.get("env") or ():
        _default_field_ref((entry.get("valueFrom") or {}).get("fieldRef"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _default_probe(container[probe])
    lifecycle = container.get("lifecycle") or {}
    for hook in ("postStart", "preStop"):
        _default_http_get((lifecycle.get(hook) or {}).get("httpGet"))


def _make_canonical(resources: Obj) -> None:
    for kind in ("limits", "requests"):
        for name, amount in (resources.get(kind) or {}).items():
            resources[kind][name] = _canonical(amount)


def _canonical(amount: str | float) -> str:
    try:
        return canonical(amount)
    except ValueError:
        return str(amount)  # validation says what is wrong with it


def _default_probe(probe: Obj) -> None:
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe[field] = probe.get(field) or value
    _default_http_get(probe.get("httpGet"))
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_http_get(action: Obj | None) -> None:
    if action is not None:
        action["path"] = action.get("path") or "/"
        action["scheme"] = action.get("scheme") or "HTTP"


def _default_volume(volume: Obj) -> None:
    if len(volume) < 2:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", _FILE_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    default_source(volume)
    if (template := (volume.get("ephemeral") or {}).get("volumeClaimTemplate")) is not None:
        template.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    if "image" in volume and not volume["image"].get("pullPolicy"):
        volume["image"]["pullPolicy"] = image_pull_policy(volume["image"].get("reference") or "")
    downward = [volume.get("downwardAPI") or {}]
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            token["expirationSeconds"] = token.get("expirationSeconds") or _TOKEN_SECONDS
        downward.append(source.get("downwardAPI") or {})
    for items in downward:
        for item in items.get("items") or ():
            _default_field_ref(item.get("fieldRef"))


def _default_field_ref(reference: Obj | None) -> None:
    if reference is not None:
        reference["apiVersion"] = reference.get("apiVersion") or "v1"

"""What a valid ephemeral container is: one that looks on, and that nothing relies on.

Upstream: validateEphemeralContainers in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod.containers import validate_container
from wellhead.api.kinds.pod.spec import containers_of
from wellhead.api.meta import Obj

_TEXT = "cannot be set for an Ephemeral Container"
_REFUSED = (
    "ports",
    "resources",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
)


def validate_ephemeral_containers(spec: Obj, at: str, volumes: Mapping[str, Obj]) -> Iterator[Cause]:
    """Those of a pod's spec at the path `at`."""
    others = {each.get("name") for each in containers_of(spec)}
    names = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        here = f"{at}.ephemeralContainers[{index}]"
        yield from validate_container(
            container,
            here,
            volumes=volumes,
            is_init=False,
            host_network=bool(spec.get("hostNetwork")),
            host_ports=set(),
            pod=spec,
        )
        name = container.get("name")
        if name and name in names:
            yield Cause.duplicate(f"{here}.name", name)
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            yield Cause.not_found(f"{here}.targetContainerName", target)
        for field in _REFUSED:
            if container.get(field):
                yield Cause.forbidden(f"{here}.{field}", _TEXT)
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    yield Cause.forbidden(f"{here}.volumeMounts[{number}].{field}", _TEXT)

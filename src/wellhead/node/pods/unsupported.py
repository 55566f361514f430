"""What a pod's spec asks for and doesn't get on these nodes: its user should hear of it, once.

What keeps a container from running, or fails a probe, has an event of its own where that happens.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.meta import Obj
from wellhead.node.pods import security, spec

_POD_FIELDS = {
    "shareProcessNamespace": "every container has a process namespace of its own",
    "runtimeClassName": "every container is run by crun",
    "resourceClaims": "there are no devices to claim",
    "setHostnameAsFQDN": "the host name is the pod's name",
}
_SECURITY_FIELDS = {
    "seccompProfile": "system calls are not filtered",
    "appArmorProfile": "there are no AppArmor profiles",
    "seLinuxOptions": "there are no SELinux labels",
    "procMount": "parts of /proc are always masked, unless the container is privileged",
}
_NO_DEMAND = (None, "", "Default", {"type": "Unconfined"})
_LIMITS = "limits of {} are not enforced: containers have no cgroups of their own"


def without_effect(pod: Obj, available: frozenset[str]) -> list[str]:
    """One sentence for each such field, each naming where it is.

    `available` are the capabilities that the agent could give.
    """
    found = [
        f"spec.{field} has no effect: {consequence}"
        for field, consequence in _POD_FIELDS.items()
        if pod["spec"].get(field)
    ]
    if pod["spec"].get("hostUsers") is False:
        found.append("spec.hostUsers has no effect: containers share the node's user namespace")
    found += _security(pod["spec"].get("securityContext") or {}, "spec.securityContext")
    for volume in pod["spec"].get("volumes") or ():
        source = volume.get("emptyDir") or {}
        if source.get("sizeLimit") and source.get("medium") != "Memory":
            found.append(f'sizeLimit of volume "{volume["name"]}" has no effect: its medium is not Memory')
    for container in (*spec.init_containers(pod), *spec.containers(pod)):
        found += _of_container(container, available)
    return found


def _of_container(container: Obj, available: frozenset[str]) -> Iterator[str]:
    at = f'container "{container["name"]}": '
    if limits := (container.get("resources") or {}).get("limits"):
        yield at + _LIMITS.format(", ".join(sorted(limits)))
    own = container.get("securityContext") or {}
    for problem in _security(own, "securityContext"):
        yield at + problem
    for name in security.not_given(own, available):
        why = (
            "only privileged containers have it here, since device access is not filtered"
            if name in available
            else "the node's agent doesn't have it itself"
        )
        yield f"{at}{name} is not given: {why}"
    if container.get("volumeDevices"):
        yield at + "volumeDevices has no effect: there are no block devices"


def _security(context: Obj, at: str) -> Iterator[str]:
    for field, consequence in _SECURITY_FIELDS.items():
        if context.get(field) not in _NO_DEMAND:
            yield f"{at}.{field} has no effect: {consequence}"

"""Questions that are often asked about a pod's spec. The API has filled in its defaults."""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

_DEFAULT_GRACE_SECONDS = 30


def is_sidecar(container: Obj) -> bool:
    """Whether an init container goes on running beside the others (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def init_containers(pod: Obj) -> list[Obj]:
    """In the order in which they run."""
    return pod["spec"].get("initContainers") or []


def containers(pod: Obj) -> list[Obj]:
    """The ordinary containers."""
    return pod["spec"].get("containers") or []


def ephemeral_containers(pod: Obj) -> list[Obj]:
    """Those that came to look on (`kubectl debug`), in the order in which they came."""
    return pod["spec"].get("ephemeralContainers") or []


def every_container(pod: Obj) -> list[Obj]:
    """All of them, of every kind."""
    return [*init_containers(pod), *containers(pod), *ephemeral_containers(pod)]


def restart_policy(pod: Obj, container: Obj, *, init: bool) -> str:
    """Always, OnFailure or Never: what to do when the container ends."""
    own = container.get("restartPolicy")
    if own:
        return str(own)
    policy = str(pod["spec"].get("restartPolicy") or "Always")
    return "OnFailure" if init and policy == "Always" else policy


RESTART, RESTART_ALL = "Restart", "RestartAllContainers"
"""What a restart rule may do."""


def rule(container: Obj, code: int) -> str:
    """What the first of the restartPolicyRules that is about this exit code does; "" if there is none."""
    for each in container.get("restartPolicyRules") or ():
        condition = each.get("exitCodes") or {}
        is_in = code in (condition.get("values") or ())
        if condition.get("operator") in ("In", "NotIn") and is_in == (condition["operator"] == "In"):
            return str(each.get("action") or "")
    return ""


def may_restart_all(pod: Obj) -> bool:
    """Whether any exit of a container can lead to all of them being restarted."""
    return any(
        each.get("action") == RESTART_ALL
        for container in (*init_containers(pod), *containers(pod))
        for each in container.get("restartPolicyRules") or ()
    )


def host_network(pod: Obj) -> bool:
    """Whether the pod lives in the node's network namespace."""
    return bool(pod["spec"].get("hostNetwork"))


def has_own_users(pod: Obj) -> bool:
    """Whether the pod's users are others than the node's: it has a user namespace."""
    return pod["spec"].get("hostUsers") is False


def shares_processes(pod: Obj) -> bool:
    """Whether the pod's containers see each other's processes."""
    return bool(pod["spec"].get("shareProcessNamespace")) and not pod["spec"].get("hostPID")


def hostname(pod: Obj) -> str:
    """The host name that the pod's processes see: a DNS label, unless overridden by a longer name."""
    if override := pod["spec"].get("hostnameOverride"):
        return str(override)
    name = str(pod["spec"].get("hostname") or pod["metadata"]["name"])
    return name[:63].rstrip("-.")


_LONGEST_HOSTNAME = 64  # bytes that the kernel takes


def kernel_hostname(pod: Obj, domain: str) -> str:
    """The name that the kernel tells: with `setHostnameAsFQDN`, what the cluster's DNS has it under.

    Raises ValueError if the kernel can't have it so long.
    """
    name, subdomain = hostname(pod), pod["spec"].get("subdomain")
    if not (pod["spec"].get("setHostnameAsFQDN") and subdomain) or pod["spec"].get("hostnameOverride"):
        return name
    full = f"{name}.{subdomain}.{pod['metadata']['namespace']}.svc.{domain}"
    if len(full) > _LONGEST_HOSTNAME:
        raise ValueError(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN "
            f"{full} is too long (64 characters is the max, {len(full)} characters requested)"
        )
    return full


def grace_period(pod: Obj) -> int:
    """Seconds between a polite signal and the end: what a deletion asks for, else the spec."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    if asked is None:
        asked = pod["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
    return max(int(asked), 1)


def is_deleted(pod: Obj) -> bool:
    """Whether somebody has asked for the pod's deletion."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_finished(pod: Obj) -> bool:
    """Whether the API says that the pod has come to its end, which can't be undone."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def described(pod: Obj) -> str:
    """How the kubelet names a pod in messages: NAME_NAMESPACE(UID)."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort (pkg/apis/core/helper/qos)."""
    guaranteed, anything = True, False
    everyone = (*init_containers(pod), *containers(pod))
    whole = pod["spec"].get("resources")
    for resources in [whole] if whole else [each.get("resources") or {} for each in everyone]:
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            limit = _amount(limits.get(name))
            request = _amount(requests.get(name)) if name in requests else limit
            anything |= bool(request or limit)
            guaranteed &= bool(limit) and request == limit
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amount(text: object) -> int:
    return Quantity.parse(str(text)).nanos if text is not None else 0

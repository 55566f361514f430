"""Whether the node takes a pod that it was given.

The scheduler gives a node no pod that it can't take; whoever names the node in the pod's spec may. Reasons
and messages are upstream's. Source: pkg/kubelet/lifecycle/predicate.go, pkg/kubelet/sysctl and
pkg/security/apparmor of v1.36. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from wellhead.api.meta import Obj
from wellhead.api.names import OS_LABEL
from wellhead.api.placement import required_nodes, untolerated
from wellhead.node.pods import room, spec

_PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
_AFFINITY = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
_TAINTS = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
_OS = "Failed to admit pod as the OS field doesn't match node OS"
_OS_LABEL = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
_LINUX = "linux"
_NO_APPARMOR = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"

SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""Those that touch nobody but the pod (pkg/kubelet/sysctl/safe_sysctls.go)."""

_Port = tuple[str, str, int]


@dataclass(frozen=True)
class Refusal:
    """`reason` and `message` go into the pod's status and an event.

    With `by_labels`, it is due to what the Node object says, which may have changed this very moment.
    """

    reason: str
    message: str
    by_labels: bool = False


@dataclass(frozen=True)
class Node:
    """What is known of the node. `obj` is the API's object; None: it isn't known (yet).

    `unsafe_sysctls` are allowed beside the safe ones; one that ends in `*` is a beginning.
    """

    allocatable: Mapping[str, int] = field(default_factory=dict)
    obj: Obj | None = None
    unsafe_sysctls: Collection[str] = ()


def refusal(pod: Obj, others: Iterable[Obj], node: Node, *, static: bool = False) -> Refusal | None:
    """Why the node doesn't take the pod beside those that it has taken, if so.

    All of them are as `room.granted` gives them. Taints don't concern `static` ones.
    """
    return next(_refusals(pod, list(others), node, static=static), None)


def _refusals(pod: Obj, others: list[Obj], node: Node, *, static: bool) -> Iterator[Refusal]:
    yield from _sysctls(pod, node.unsafe_sysctls)
    yield from _other_systems(pod)
    for each in room.shortages(pod, others, node.allocatable):
        yield Refusal(f"OutOf{each.resource}", str(each))
    if node.obj is not None and not _matches(pod, node.obj):
        yield Refusal("NodeAffinity", _AFFINITY, by_labels=True)
    wanted = list(_ports(pod))
    held = [port for other in others for port in _ports(other)] if wanted else []
    if any(_in_the_way(one, other) for one in wanted for other in held):
        yield Refusal("NodePorts", _PORTS)
    taints = (node.obj or {}).get("spec", {}).get("taints") or ()
    if not static and untolerated(taints, pod["spec"].get("tolerations") or (), ("NoExecute",)):
        yield Refusal("TaintToleration", _TAINTS, by_labels=True)
    if _wants_apparmor(pod):
        yield Refusal("AppArmor", _NO_APPARMOR)


def _sysctls(pod: Obj, unsafe: Collection[str]) -> Iterator[Refusal]:
    of_pod = pod["spec"].get("securityContext") or {}
    for each in of_pod.get("sysctls") or ():
        name = str(each["name"]).replace("/", ".")
        if problem := _problem(name, pod["spec"], unsafe):
            yield Refusal("SysctlForbidden", f'forbidden sysctl: "{name}" {problem}')


def _problem(name: str, of_pod: Obj, unsafe: Collection[str]) -> str:
    beginnings = tuple(each[:-1] for each in unsafe if each.endswith("*"))
    if name not in SAFE_SYSCTLS and name not in unsafe and not (beginnings and name.startswith(beginnings)):
        return "not allowlisted"
    kind = "net" if name.startswith("net.") else "ipc"
    if of_pod.get("hostNetwork" if kind == "net" else "hostIPC"):
        return f"not allowed with host {kind} enabled"
    return ""


def _other_systems(pod: Obj) -> Iterator[Refusal]:
    label = (pod["metadata"].get("labels") or {}).get(OS_LABEL)
    if label is not None and label != _LINUX:
        yield Refusal("PodOSSelectorNodeLabelDoesNotMatch", _OS_LABEL)
    name = (pod["spec"].get("os") or {}).get("name")
    if name and name != _LINUX:
        yield Refusal("PodOSNotSupported", _OS)


def _matches(pod: Obj, node: Obj) -> bool:
    """nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return False
    terms = required_nodes(pod["spec"])
    return terms is None or any(term.matches(node["metadata"]["name"], labels) for term in terms)


def _wants_apparmor(pod: Obj) -> bool:
    """There is none on these machines: whoever relies on it had better not run."""
    contexts = [pod["spec"], *spec.every_container(pod)]
    asked = [(each.get("securityContext") or {}).get("appArmorProfile") or {} for each in contexts]
    kinds = [each["type"] for each in asked if each.get("type")]
    annotations = pod["metadata"].get("annotations") or {}
    kinds += [value for key, value in annotations.items() if key.startswith(_APPARMOR_ANNOTATION)]
    return any(kind.lower() != "unconfined" for kind in kinds)


def _ports(pod: Obj) -> Iterator[_Port]:
    """(host IP, protocol, port) of each host port."""
    sidecars = [each for each in spec.init_containers(pod) if spec.is_sidecar(each)]
    for container in (*spec.containers(pod), *sidecars):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "", port.get("protocol") or "TCP", port["hostPort"]


def _in_the_way(one: _Port, other: _Port) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or _is_any(one[0]) or _is_any(other[0]))


def _is_any(ip: str) -> bool:
    return not ip or ip_address(ip).is_unspecified

"""What a pod's spec asks for and doesn't get on these nodes: its user should hear of it, once.

What keeps a container from running, or fails a probe, has an event of its own where that happens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import ip_address

from wellhead.api.meta import Obj
from wellhead.node.pods import fields, security, spec

_LIMITS = "limits of {} are not enforced: {}"
_ENFORCED = frozenset({"cpu", "memory"})
_BY_EVICTION = frozenset({"ephemeral-storage"})
_ACTIONS = {spec.RESTART, spec.RESTART_ALL}  # of restart rules


def without_effect(
    pod: Obj, available: frozenset[str], *, limits: bool = False, host_ips: Collection[str] = ()
) -> list[str]:
    """One sentence for each such field, each naming where it is.

    `available` are the capabilities that the agent could give, `limits` whether it holds containers to
    theirs, `host_ips` the node's addresses.
    """
    available = security.available(pod, available)
    found = list(fields.without_effect(pod["spec"], "PodSpec", "spec."))
    found += _of_limits(pod["spec"].get("resources"), "spec.resources: ", enforced=limits)
    for container in (*spec.init_containers(pod), *spec.containers(pod)):
        found += _of_container(container, "Container", available, limits)
        if not spec.host_network(pod):
            found += _of_host_ports(container, host_ips)
    return found


def _of_host_ports(container: Obj, host_ips: Collection[str]) -> Iterator[str]:
    """Ports of addresses that the node doesn't have: nothing would ever come, and nobody say why."""
    own = {ip_address(each) for each in host_ips}
    for port in container.get("ports") or ():
        if not own or not port.get("hostPort") or not port.get("hostIP"):
            continue
        address, names = ip_address(port["hostIP"]), ", ".join(sorted(map(str, own)))
        at = f'container "{container["name"]}": hostPort {port["hostPort"]} of hostIP {address}: '
        if address.version not in {each.version for each in own}:
            yield f"{at}nothing arrives, since pods have no address of that family here"
        elif not (address.is_loopback or address.is_unspecified or address in own):
            yield f"{at}nothing arrives unless the node is given that address; it has {names}"


def of_onlooker(container: Obj, available: frozenset[str], *, limits: bool = False) -> list[str]:
    """The same of an ephemeral container, which may come later."""
    return list(_of_container(container, "EphemeralContainer", available, limits))


def _of_container(container: Obj, kind: str, available: frozenset[str], limits: bool) -> Iterator[str]:
    at = f'container "{container["name"]}": '
    yield from _of_limits(container.get("resources"), at, enforced=limits)
    yield from fields.without_effect(container, kind, at)
    for name in security.not_given(container.get("securityContext") or {}, available):
        why = (
            "only privileged containers have it here, since device access is not filtered"
            if name in available
            else "the node's agent doesn't have it itself"
        )
        yield f"{at}{name} is not given: {why}"
    for action in {rule.get("action") for rule in container.get("restartPolicyRules") or ()} - _ACTIONS:
        yield f"{at}restartPolicyRules with the action {action} have no effect: this agent doesn't know it"


def _of_limits(resources: Obj | None, at: str, *, enforced: bool) -> Iterator[str]:
    asked = set((resources or {}).get("limits") or ()) - _BY_EVICTION
    if asked and not enforced:
        why = "this machine has no cgroups for memory and CPU that the agent may use"
        yield at + _LIMITS.format(", ".join(sorted(asked)), why)
    elif others := asked - _ENFORCED:
        yield at + _LIMITS.format(
            ", ".join(sorted(others)), "only those of cpu, memory and ephemeral-storage are"
        )

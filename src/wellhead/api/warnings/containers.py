"""Containers of one pod: what they say twice, or in a way that is ambiguous.

Upstream: warningsForPodSpecAndMeta in pkg/api/pod/warnings.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.meta import Obj
from wellhead.api.warnings.amounts import of_bytes

_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_APP_ARMOR_FIELD = 'deprecated since v1.30; use the "appArmorProfile" field instead'


def of_containers(at: str, spec: Obj, annotations: Obj, *, is_template: bool) -> Iterator[str]:
    """All containers of a pod spec at that path; `annotations` are the pod's."""
    containers = [
        (f"{at}.spec.{field}[{index}]" if at else f"spec.{field}[{index}]", container)
        for field in ("initContainers", "containers", "ephemeralContainers")
        for index, container in enumerate(spec.get(field) or ())
    ]
    prefix = f"{at}.metadata" if at else "metadata"
    for here, container in containers:
        yield from _of_annotations(f"{prefix}.annotations", container, annotations, is_template=is_template)
        for which in ("limits", "requests"):
            amounts = (container.get("resources") or {}).get(which)
            yield from of_bytes(f"{here}.resources.{which}", amounts, "memory", "ephemeral-storage")
        yield from _of_environment(here, container)
    ports = [
        (f"{here}.ports[{index}]", port)
        for here, container in containers
        for index, port in enumerate(container.get("ports") or ())
    ]
    yield from _of_ports(ports)
    yield from _of_names(ports)


def _of_annotations(at: str, container: Obj, annotations: Obj, *, is_template: bool) -> Iterator[str]:
    context, name = container.get("securityContext") or {}, container.get("name", "")
    if context.get("seccompProfile") is None and f"{_SECCOMP}{name}" in annotations:
        text = 'non-functional in v1.27+; use the "seccompProfile" field instead'
        yield f"{at}[{_SECCOMP}{name}]: {text}"
    if is_template and context.get("appArmorProfile") is None and f"{APP_ARMOR}{name}" in annotations:
        yield f"{at}[{APP_ARMOR}{name}]: {_APP_ARMOR_FIELD}"


def _of_environment(at: str, container: Obj) -> Iterator[str]:
    seen = set()
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name", ""), variable.get("value", "")
        reference = f"$({name})"
        hides = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and hides:
            yield (
                f'{at}.env[{index}]: hides previous definition of "{name}",'
                " which may be dropped when using apply"
            )
        seen.add(name)


def _of_ports(ports: list[tuple[str, Obj]]) -> Iterator[str]:
    known: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    for here, port in ports:
        ip, host = port.get("hostIP", ""), port.get("hostPort", 0)
        if ip and not host:
            yield f"{here}: hostIP set without hostPort: {_in_go(port)}"
        others = known.setdefault((port.get("containerPort", 0), port.get("protocol", "TCP")), [])
        for other, its_ip, its_host in others:
            if (ip, host) == (its_ip, its_host):
                yield f"{here}: duplicate port definition with {other}"
            elif not host or not its_host:
                yield f"{here}: overlapping port definition with {other}"
            elif host == its_host and bool(ip) != bool(its_ip):
                yield f"{here}: dangerously ambiguous port definition with {other}"
        others.append((here, ip, host))


def _of_names(ports: list[tuple[str, Obj]]) -> Iterator[str]:
    first: dict[str, str] = {}
    for here, port in ports:
        if not (name := port.get("name")):
            continue
        if name in first:
            yield (
                f'{here}: duplicate port name "{name}" with {first[name]}, services and probes'
                f" that select ports by name will use {first[name]}"
            )
        first.setdefault(name, here)


def _in_go(port: Obj) -> str:
    """As Go prints the struct."""
    fields = (("Name", ""), ("HostPort", 0), ("ContainerPort", 0), ("Protocol", ""), ("HostIP", ""))
    values = (f"{name}:{port.get(name[0].lower() + name[1:], nothing)}" for name, nothing in fields)
    return "{" + " ".join(values) + "}"

"""Pods and what they are made from. Upstream: pkg/api/pod/warnings.go, pkg/api/job/warnings.go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wellhead.api.formats import dns_label
from wellhead.api.meta import Obj
from wellhead.api.warnings import addresses, node_labels
from wellhead.api.warnings.amounts import of_bytes
from wellhead.api.warnings.containers import of_containers
from wellhead.api.warnings.volumes import of_volumes

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
}
_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
_NO_POD = "a null labelSelector results in matching no pod"
_MANY_COMPLETIONS, _MANY_AT_ONCE = 100_000, 10_000
_TOO_MANY = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
    "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)


def of_pod(pod: Obj) -> list[str]:
    """A new pod."""
    return [
        *of_name(pod, "the Pod's hostname"),
        *_of_spec("", pod.get("spec") or {}, pod["metadata"].get("annotations") or {}, is_template=False),
    ]


def of_template(at: str, template: Obj | None) -> list[str]:
    """A template of pods."""
    metadata = (template or {}).get("metadata") or {}
    spec = (template or {}).get("spec") or {}
    return list(_of_spec(at, spec, metadata.get("annotations") or {}, is_template=True))


def of_job(at: str, spec: Obj) -> list[str]:
    """The spec of a Job, or of a CronJob's."""
    too_many = (
        spec.get("completionMode") == "Indexed"
        and (spec.get("completions") or 0) > _MANY_COMPLETIONS
        and (spec.get("parallelism") or 0) > _MANY_AT_ONCE
    )
    return [
        *([f"{at}: {_TOO_MANY}"] if too_many else []),
        *of_template(f"{at}.template", spec.get("template")),
    ]


def of_name(obj: Obj, use: str = "Pod names and hostnames") -> list[str]:
    """A name that pods' names and hostnames are made of."""
    problems = dns_label(obj["metadata"].get("name") or "")
    if not problems:
        return []
    return [
        f"metadata.name: this is used in {use}, which can result in surprising behavior;"
        f" a DNS label is recommended: [{' '.join(problems)}]"
    ]


def _of_spec(at: str, spec: Obj, annotations: Obj, *, is_template: bool) -> Iterator[str]:
    prefix = f"{at}." if at else ""
    here = f"{prefix}spec"
    yield from _of_placement(here, spec)
    for name, text in _ANNOTATIONS.items():
        if name in annotations:
            yield f"{prefix}metadata.annotations[{name}]: {text}"
    yield from of_volumes(f"{here}.volumes", spec.get("volumes") or ())
    yield from _of_repeated(f"{here}.hostAliases", spec.get("hostAliases") or (), "ip")
    pulls = spec.get("imagePullSecrets") or ()
    yield from _of_repeated(f"{here}.imagePullSecrets", pulls, "name")
    for index, secret in enumerate(pulls):
        if not secret.get("name"):
            yield f'{here}.imagePullSecrets[{index}].name: invalid empty name ""'
    yield from of_bytes(f"{here}.overhead", spec.get("overhead"), "memory", "ephemeral-storage")
    if (spec.get("securityContext") or {}).get("seccompProfile") is None and _SECCOMP in annotations:
        text = 'non-functional in v1.27+; use the "seccompProfile" field instead'
        yield f"{prefix}metadata.annotations[{_SECCOMP}]: {text}"
    yield from of_containers(at, spec, annotations, is_template=is_template)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{here}.terminationGracePeriodSeconds: {text}"
    yield from _of_pod_affinity(f"{here}.affinity", spec.get("affinity") or {})
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from addresses.of_address(f"{here}.dnsConfig.nameservers[{index}]", server)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        yield from addresses.of_address(f"{here}.hostAliases[{index}].ip", alias.get("ip") or "")


def _of_placement(at: str, spec: Obj) -> Iterator[str]:
    for name in spec.get("nodeSelector") or ():
        if name in node_labels.DEPRECATED:
            yield f"{at}.nodeSelector[{name}]: {node_labels.DEPRECATED[name]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    yield from node_labels.of_node_affinity(f"{at}.affinity.nodeAffinity", affinity)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        here, key = f"{at}.topologySpreadConstraints[{index}]", constraint.get("topologyKey") or ""
        if key in node_labels.DEPRECATED:
            yield f"{here}.topologyKey: {key} is {node_labels.DEPRECATED[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{here}.labelSelector: {_NO_POD}"


def _of_repeated(at: str, entries: Sequence[Obj], field: str) -> Iterator[str]:
    seen = set()
    for index, entry in enumerate(entries):
        value = entry.get(field) or ""
        if value in seen:
            yield f'{at}[{index}].{field}: duplicate {field} "{value}"'
        seen.add(value)


def _of_pod_affinity(at: str, affinity: Obj) -> Iterator[str]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        for index, term in enumerate(terms.get(required) or ()):
            if term.get("labelSelector") is None:
                yield f"{at}.{kind}.{required}[{index}].labelSelector: {_NO_POD}"
        for index, term in enumerate(terms.get(preferred) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{at}.{kind}.{preferred}[{index}].podAffinityTerm.labelSelector: {_NO_POD}"

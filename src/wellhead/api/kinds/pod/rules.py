"""What a valid pod spec is, in pods and in pod templates.

Upstream: ValidatePodSpec and what it calls, in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, dns_subdomain, ip_address, search_domain
from wellhead.api.kinds.pod.compute import validate_overhead, validate_pod_resources
from wellhead.api.kinds.pod.containers import validate_container
from wellhead.api.kinds.pod.ephemeral import validate_ephemeral_containers
from wellhead.api.kinds.pod.scheduling import validate_scheduling
from wellhead.api.kinds.pod.security import validate_pod_security
from wellhead.api.kinds.pod.volumes import validate_volumes
from wellhead.api.kinds.pod.whole import validate_whole
from wellhead.api.kinds.pod.windows import validate_system
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_labels

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_SYSTEMS = ("linux", "windows")
_MAX_HOST_NAME = 64
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_CHARACTERS = 2048


def validate_pod_spec(spec: Obj, at: str) -> list[Cause]:
    """A pod spec with defaults, at the path `at`."""
    volumes, causes = validate_volumes(spec.get("volumes") or (), f"{at}.volumes")
    causes += _validate_containers(spec, at, volumes)
    causes += one_of(f"{at}.restartPolicy", spec["restartPolicy"], _RESTART_POLICIES)
    causes += one_of(f"{at}.dnsPolicy", spec["dnsPolicy"], _DNS_POLICIES)
    causes += validate_labels(spec.get("nodeSelector"), f"{at}.nodeSelector")
    causes += _validate_dns_config(spec, f"{at}.dnsConfig")
    for field, check in (
        ("nodeName", dns_subdomain),
        ("serviceAccountName", dns_subdomain),
        ("priorityClassName", dns_subdomain),
        ("runtimeClassName", dns_subdomain),
        ("hostname", dns_label),
        ("subdomain", dns_label),
    ):
        if value := spec.get(field):
            causes += [Cause.invalid(f"{at}.{field}", value, problem) for problem in check(value)]
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        causes.append(
            Cause.invalid(
                f"{at}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"
            )
        )
    causes += validate_pod_security(spec, at)
    causes += validate_system(spec, at)
    causes += validate_scheduling(spec, at)
    causes += _validate_claims(spec.get("resourceClaims") or (), f"{at}.resourceClaims")
    if resources := spec.get("resources"):
        causes += validate_pod_resources(resources, f"{at}.resources")
        causes += validate_whole(spec, f"{at}.resources")
    causes += validate_overhead(spec.get("overhead") or {}, f"{at}.overhead")
    if (policy := spec.get("preemptionPolicy")) is not None:
        if policy:
            causes += one_of(f"{at}.preemptionPolicy", policy, _PREEMPTION_POLICIES)
        else:
            causes.append(Cause.required(f"{at}.preemptionPolicy"))
    if (system := spec.get("os")) is not None:
        if not system.get("name"):
            causes.append(Cause.required(f"{at}.os.name", ""))
        else:
            causes += one_of(f"{at}.os", system["name"], _SYSTEMS)
    causes += _validate_host_name(spec, at)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        here, ip = f"{at}.hostAliases[{index}]", alias.get("ip", "")
        causes += [Cause.invalid(f"{here}.ip", ip, problem) for problem in ip_address(ip)]
        causes += [
            Cause.invalid(f"{here}.hostnames[{number}]", name, problem)
            for number, name in enumerate(alias.get("hostnames") or ())
            for problem in dns_subdomain(name)
        ]
    return causes


def _validate_containers(spec: Obj, at: str, volumes: dict[str, Obj]) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    host_ports: set[tuple[str, str, int]] = set()
    if not spec.get("containers"):
        causes.append(Cause.required(f"{at}.containers"))
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            here = f"{at}.{field}[{index}]"
            name = container.get("name")
            if name and name in names:
                causes.append(Cause.duplicate(f"{here}.name", name))
            names.add(name or "")
            causes += validate_container(
                container,
                here,
                volumes=volumes,
                is_init=field == "initContainers",
                host_network=bool(spec.get("hostNetwork")),
                # An init container's host ports are free again when the others start.
                host_ports=host_ports if field == "containers" else set(),
                pod=spec,
            )
    causes += validate_ephemeral_containers(spec, at, volumes)
    return causes


def _validate_host_name(spec: Obj, at: str) -> list[Cause]:
    name, here = spec.get("hostnameOverride"), f"{at}.hostnameOverride"
    if name is None:
        return []
    causes = [
        Cause.forbidden(here, f"may not be specified when {field} is true")
        for field in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(field)
    ]
    if len(name) > _MAX_HOST_NAME:
        causes.append(Cause.too_long(here, _MAX_HOST_NAME))
    return causes + [Cause.invalid(here, name, problem) for problem in dns_subdomain(name)]


def _validate_claims(claims: Sequence[Obj], at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, claim in enumerate(claims):
        here, name = f"{at}[{index}]", claim.get("name") or ""
        if not name:
            causes.append(Cause.required(f"{here}.name"))
        elif name in names:
            causes.append(Cause.duplicate(f"{here}.name", name))
        else:
            causes += [Cause.invalid(f"{here}.name", name, problem) for problem in dns_label(name)]
        names.add(name)
        sources = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if field in claim]
        if len(sources) > 1:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            causes.append(Cause.invalid(here, claim, text))
        if not sources:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            causes.append(Cause.invalid(here, claim, text))
        causes += [
            Cause.invalid(f"{here}.{field}", claim[field], problem)
            for field in sources
            for problem in dns_subdomain(claim[field])
        ]
    return causes


def _validate_dns_config(spec: Obj, at: str) -> list[Cause]:
    config = spec.get("dnsConfig") or {}
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    causes = []
    if spec["dnsPolicy"] == "None":
        if "dnsConfig" not in spec:
            return [Cause.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not servers:
            causes.append(
                Cause.required(
                    f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
                )
            )
    if len(servers) > _MAX_NAMESERVERS:
        causes.append(
            Cause.invalid(
                f"{at}.nameservers", list(servers), f"must not have more than {_MAX_NAMESERVERS} nameservers"
            )
        )
    for index, ip in enumerate(servers):
        causes += [Cause.invalid(f"{at}.nameservers[{index}]", ip, problem) for problem in ip_address(ip)]
    for index, search in enumerate(searches):
        # There may be a trailing dot; "." alone says that there is nothing to search.
        plain = search.removesuffix(".") if search != "." else "a"
        causes += [
            Cause.invalid(f"{at}.searches[{index}]", search, problem) for problem in search_domain(plain)
        ]
    if len(" ".join(searches)) > _MAX_SEARCH_CHARACTERS:
        causes.append(
            Cause.invalid(
                f"{at}.searches",
                list(searches),
                f"must not have more than {_MAX_SEARCH_CHARACTERS} characters (including spaces) "
                "in the search list",
            )
        )
    for index, option in enumerate(config.get("options") or ()):
        here = f"{at}.options[{index}]"
        if not option.get("name"):
            causes.append(Cause.required(here, "must not be empty"))
        causes += [
            Cause.invalid(f"{here}.{field}", option[field], "must not contain blanks or control characters")
            for field in ("name", "value")
            if not all(char.isprintable() and not char.isspace() for char in option.get(field) or "")
        ]
    if len(searches) > _MAX_SEARCHES:
        causes.append(
            Cause.invalid(
                f"{at}.searches", list(searches), f"must not have more than {_MAX_SEARCHES} search paths"
            )
        )
    return causes

"""What a valid pod spec is, in pods and in pod templates.

Upstream: ValidatePodSpec and what it calls, in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, dns_subdomain, ip_address, qualified_name
from wellhead.api.kinds.pod.containers import validate_container
from wellhead.api.kinds.pod.volumes import validate_ids, validate_volumes
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_labels

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_CHARACTERS = 2048


def validate_pod_spec(spec: Obj, at: str) -> list[Cause]:
    """A pod spec with defaults, at the path `at`."""
    causes = validate_volumes(spec.get("volumes") or (), f"{at}.volumes")
    causes += _validate_containers(spec, at)
    causes += one_of(f"{at}.restartPolicy", spec["restartPolicy"], _RESTART_POLICIES)
    causes += one_of(f"{at}.dnsPolicy", spec["dnsPolicy"], _DNS_POLICIES)
    causes += validate_labels(spec.get("nodeSelector"), f"{at}.nodeSelector")
    causes += _validate_dns_config(spec, f"{at}.dnsConfig")
    for field, check in (
        ("nodeName", dns_subdomain),
        ("serviceAccountName", dns_subdomain),
        ("hostname", dns_label),
        ("subdomain", dns_label),
    ):
        if value := spec.get(field):
            causes += [Cause.invalid(f"{at}.{field}", value, problem) for problem in check(value)]
    if (seconds := spec["terminationGracePeriodSeconds"]) < 0:
        causes.append(
            Cause.invalid(
                f"{at}.terminationGracePeriodSeconds", seconds, "must be greater than or equal to 0"
            )
        )
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        causes.append(
            Cause.invalid(
                f"{at}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"
            )
        )
    ids = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")
    causes += validate_ids(spec.get("securityContext") or {}, f"{at}.securityContext", *ids)
    causes += _validate_gates(spec.get("schedulingGates") or (), f"{at}.schedulingGates")
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        causes += _validate_toleration(toleration, f"{at}.tolerations[{index}]")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        here, ip = f"{at}.hostAliases[{index}]", alias.get("ip", "")
        causes += [Cause.invalid(f"{here}.ip", ip, problem) for problem in ip_address(ip)]
        causes += [
            Cause.invalid(f"{here}.hostnames[{number}]", name, problem)
            for number, name in enumerate(alias.get("hostnames") or ())
            for problem in dns_subdomain(name)
        ]
    return causes


def _validate_containers(spec: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or ()}
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
                grace=spec["terminationGracePeriodSeconds"],
            )
    return causes


def _validate_gates(gates: Sequence[Obj], at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, gate in enumerate(gates):
        name, here = gate.get("name") or "", f"{at}[{index}]"
        causes += [Cause.invalid(here, name, problem) for problem in qualified_name(name)]
        if name in names:
            causes.append(Cause.duplicate(here, name))
        names.add(name)
    return causes


def _validate_toleration(toleration: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    effect, value = toleration.get("effect") or "", toleration.get("value") or ""
    causes += [Cause.invalid(f"{at}.key", key, problem) for problem in (qualified_name(key) if key else ())]
    if not key and operator != "Exists":
        causes.append(
            Cause.invalid(
                f"{at}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        )
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        causes.append(
            Cause.invalid(
                f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"
            )
        )
    if operator not in ("Equal", "Exists"):
        causes.append(Cause.not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
    elif operator == "Exists" and value:
        causes.append(
            Cause.invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'")
        )
    return causes + (one_of(f"{at}.effect", effect, _TAINT_EFFECTS) if effect else [])


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
        # Underscores may be, and a trailing dot; "." alone says that there is nothing to search.
        plain = search.removesuffix(".").replace("_", "a") if search != "." else "a"
        causes += [
            Cause.invalid(f"{at}.searches[{index}]", search, problem) for problem in dns_subdomain(plain)
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

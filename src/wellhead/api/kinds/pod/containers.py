"""What a valid container is. Upstream: validateContainers in pkg/apis/core/validation/validation.go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import (
    dns_label,
    env_name,
    file_path,
    http_header_name,
    ip_address,
    local_path,
    port_name,
    port_number,
)
from wellhead.api.kinds.pod.compute import validate_resize_policy, validate_resources
from wellhead.api.kinds.pod.downward import (
    FIELDS_OF_VARIABLES,
    validate_env_from,
    validate_field_reference,
    validate_key_reference,
    validate_resource_reference,
)
from wellhead.api.kinds.pod.mounts import validate_mounts
from wellhead.api.kinds.pod.security import validate_container_security
from wellhead.api.kinds.targets import validate_port_reference
from wellhead.api.kinds.volume_sources import path_causes
from wellhead.api.meta import Obj

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_RESTART_ACTIONS = ("Restart", "RestartAllContainers")
_MAX_RESTART_RULES = 20
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_SIGNALS = frozenset(
    f"SIG{name}"
    for name in (
        "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP "
        "SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX "
        + " ".join(f"RTMIN+{number}" for number in range(1, 16))
        + " "
        + " ".join(f"RTMAX-{number}" for number in range(1, 15))
    ).split()
)
_NOT_NEGATIVE = "must be greater than or equal to 0"


def validate_container(
    container: Obj,
    at: str,
    *,
    volumes: Mapping[str, Obj],
    is_init: bool,
    host_network: bool,
    host_ports: set[tuple[str, str, int]],
    pod: Obj,
) -> list[Cause]:
    """A container with defaults, at the path `at`.

    `volumes` are those it may mount, by name; `host_ports`, what containers before it hold, grows. `pod` is
    the spec that it is part of.
    """
    causes: list[Cause] = []
    name, image = container.get("name") or "", container.get("image") or ""
    if not name:
        causes.append(Cause.required(f"{at}.name"))
    else:
        causes += [Cause.invalid(f"{at}.name", name, problem) for problem in dns_label(name)]
    if not image:
        causes.append(Cause.required(f"{at}.image"))
    elif image != image.strip():
        causes.append(Cause.invalid(f"{at}.image", image, "must not have leading or trailing whitespace"))
    causes += one_of(f"{at}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES)
    policy = container["terminationMessagePolicy"]
    causes += one_of(f"{at}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    for field in ("terminationMessagePath", "workingDir"):
        causes += path_causes(container.get(field) or "", f"{at}.{field}", file_path)
    causes += _validate_ports(container.get("ports") or (), f"{at}.ports", host_network, host_ports)
    causes += _validate_env(container.get("env") or (), f"{at}.env")
    causes += validate_env_from(container.get("envFrom") or (), f"{at}.envFrom")
    causes += validate_mounts(container, at, volumes)
    claims = [claim.get("name") or "" for claim in pod.get("resourceClaims") or ()]
    causes += validate_resources(container["resources"], f"{at}.resources", claims)
    policies = container.get("resizePolicy") or ()
    causes += validate_resize_policy(policies, f"{at}.resizePolicy", pod["restartPolicy"])
    causes += _validate_probes(container, at, is_init)
    causes += validate_container_security(
        container.get("securityContext") or {},
        f"{at}.securityContext",
        host_users=pod.get("hostUsers") is not False,
    )
    restarts = container.get("restartPolicy")
    if is_init and restarts != "Always":
        causes += [
            Cause.invalid(
                f"{at}.resizePolicy[{index}].restartPolicy",
                "RestartContainer",
                "must not be set to 'RestartContainer' for non-sidecar initContainers",
            )
            for index, policy in enumerate(policies)
            if policy.get("restartPolicy") == "RestartContainer"
        ]
    if restarts and is_init and restarts != "Always":
        causes.append(Cause.not_supported(f"{at}.restartPolicy", restarts, _RESTART_POLICIES))
    if restarts and not is_init:
        causes += one_of(f"{at}.restartPolicy", restarts, _RESTART_POLICIES)
    causes += _validate_restart_rules(container, at)
    lifecycle = container.get("lifecycle") or {}
    if container.get("lifecycle") is not None and is_init and restarts != "Always":
        causes.append(
            Cause.forbidden(
                f"{at}.lifecycle", "may not be set for init containers without restartPolicy=Always"
            )
        )
    for hook in ("postStart", "preStop"):
        if hook in lifecycle:
            causes += _validate_handler(lifecycle[hook], f"{at}.lifecycle.{hook}")
            grace = pod["terminationGracePeriodSeconds"]
            causes += _validate_sleep(lifecycle[hook], grace, f"{at}.lifecycle.{hook}.sleep")
    if (signal := lifecycle.get("stopSignal")) is not None:
        causes += _validate_stop_signal(signal, f"{at}.lifecycle.stopSignal", pod)
    return causes


def _validate_restart_rules(container: Obj, at: str) -> list[Cause]:
    rules, here = container.get("restartPolicyRules") or (), f"{at}.restartPolicyRules"
    causes: list[Cause] = []
    if rules and not container.get("restartPolicy"):
        text = "must specify restartPolicy when restart rules are used"
        causes.append(Cause.required(f"{at}.restartPolicy", text))
    if len(rules) > _MAX_RESTART_RULES:
        causes.append(Cause.too_many(here, len(rules), _MAX_RESTART_RULES))
    for index, rule in enumerate(rules):
        causes += one_of(f"{here}[{index}].action", rule.get("action"), _RESTART_ACTIONS)
        if "exitCodes" not in rule:
            causes.append(Cause.required(f"{here}[{index}].exitCodes", "must be specified"))
        else:
            operator = rule["exitCodes"].get("operator")
            causes += one_of(f"{here}[{index}].exitCodes.operator", operator, ("In", "NotIn"))
    return causes


def _validate_ports(
    ports: Sequence[Obj], at: str, host_network: bool, host_ports: set[tuple[str, str, int]]
) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{at}[{index}]"
        name, number, host_port = port.get("name"), port.get("containerPort"), port.get("hostPort")
        protocol, host_ip = port["protocol"], port.get("hostIP") or ""
        if name:
            problems = port_name(name)
            causes += [Cause.invalid(f"{here}.name", name, problem) for problem in problems]
            if not problems and name in names:
                causes.append(Cause.duplicate(f"{here}.name", name))
            names.add(name)
        if not number:
            causes.append(Cause.required(f"{here}.containerPort"))
        else:
            causes += [
                Cause.invalid(f"{here}.containerPort", number, problem) for problem in port_number(number)
            ]
        if protocol not in _PROTOCOLS:
            causes.append(Cause.not_supported(f"{here}.protocol", protocol, _PROTOCOLS))
        if host_ip:
            causes += [Cause.invalid(f"{here}.hostIP", host_ip, problem) for problem in ip_address(host_ip)]
        if host_port:
            causes += [
                Cause.invalid(f"{here}.hostPort", host_port, problem) for problem in port_number(host_port)
            ]
            if host_network and host_port != number:
                causes.append(
                    Cause.invalid(
                        f"{here}.hostPort", host_port, "must match `containerPort` when `hostNetwork` is true"
                    )
                )
            if (protocol, host_ip, host_port) in host_ports:
                causes.append(
                    Cause.duplicate(f"{here}.hostPort", "/".join((protocol, host_ip, str(host_port))))
                )
            host_ports.add((protocol, host_ip, host_port))
    return causes


def _validate_env(entries: Sequence[Obj], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, entry in enumerate(entries):
        here = f"{at}[{index}]"
        name = entry.get("name") or ""
        if not name:
            causes.append(Cause.required(f"{here}.name"))
        else:
            causes += [Cause.invalid(f"{here}.name", name, problem) for problem in env_name(name)]
        if "valueFrom" not in entry:
            continue
        sources = [source for source in _ENV_SOURCES if source in entry["valueFrom"]]
        where = f"{here}.valueFrom"
        if entry.get("value"):
            causes.append(Cause.invalid(where, "", "may not be specified when `value` is not empty"))
        elif len(sources) != 1:
            choice = ", ".join(f"`{source}`" for source in _ENV_SOURCES[:-1])
            text = f"must specify one of: {choice} or `{_ENV_SOURCES[-1]}`"
            if sources:
                text = "may not have more than one field specified at a time"
            causes.append(Cause.invalid(where, "", text))
        for source in ("configMapKeyRef", "secretKeyRef"):
            if source in sources:
                causes += validate_key_reference(entry["valueFrom"][source], f"{where}.{source}")
        if "fileKeyRef" in sources:
            file = entry["valueFrom"]["fileKeyRef"]
            for field in ("volumeName", "path", "key"):
                if not file.get(field):
                    causes.append(Cause.required(f"{where}.fileKeyRef.{field}"))
            causes += path_causes(file.get("path") or "", f"{where}.fileKeyRef.path", local_path)
        if "fieldRef" in sources:
            reference = entry["valueFrom"]["fieldRef"]
            causes += validate_field_reference(reference, f"{where}.fieldRef", FIELDS_OF_VARIABLES)
        if "resourceFieldRef" in sources:
            reference = entry["valueFrom"]["resourceFieldRef"]
            causes += validate_resource_reference(reference, f"{where}.resourceFieldRef", of_volume=False)
    return causes


def _validate_probes(container: Obj, at: str, is_init: bool) -> list[Cause]:
    causes: list[Cause] = []
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        here = f"{at}.{kind}"
        if is_init and container.get("restartPolicy") != "Always":
            text = "may not be set for init containers without restartPolicy=Always"
            causes.append(Cause.forbidden(here, text))
            continue
        causes += _validate_handler(probe, here)
        causes += [
            Cause.invalid(f"{here}.{field}", probe[field], _NOT_NEGATIVE)
            for field in (
                "initialDelaySeconds",
                "timeoutSeconds",
                "periodSeconds",
                "successThreshold",
                "failureThreshold",
            )
            if probe.get(field, 0) < 0
        ]
        grace = probe.get("terminationGracePeriodSeconds")
        if kind == "readinessProbe" and grace is not None:
            text = "must not be set for readinessProbes"
            causes.append(Cause.invalid(f"{here}.terminationGracePeriodSeconds", grace, text))
        elif grace is not None and grace <= 0:
            text = "must be greater than 0"
            causes.append(Cause.invalid(f"{here}.terminationGracePeriodSeconds", grace, text))
        if kind != "readinessProbe" and probe["successThreshold"] != 1:
            causes.append(Cause.invalid(f"{here}.successThreshold", probe["successThreshold"], "must be 1"))
    return causes


def _validate_handler(handler: Obj, at: str) -> list[Cause]:
    kinds = [kind for kind in _HANDLERS if kind in handler]
    if not kinds:
        return [Cause.required(at, "must specify a handler type")]
    causes = [
        Cause.forbidden(f"{at}.{kind}", "may not specify more than 1 handler type") for kind in kinds[1:]
    ]
    # Of several, the first is looked at.
    action, here = handler[kinds[0]], f"{at}.{kinds[0]}"
    match kinds[0]:
        case "exec":
            if not action.get("command"):
                causes.append(Cause.required(f"{here}.command"))
        case "httpGet" | "tcpSocket" | "grpc":
            causes += validate_port_reference(action.get("port", 0), f"{here}.port")
    if kinds[0] == "httpGet":
        for header in action.get("httpHeaders") or ():
            name = header.get("name") or ""
            causes += [Cause.invalid(f"{here}.httpHeaders", name, text) for text in http_header_name(name)]
        scheme = action.get("scheme", "HTTP")
        if scheme not in ("HTTP", "HTTPS"):
            causes.append(Cause.not_supported(f"{here}.scheme", scheme, ("HTTP", "HTTPS")))
    return causes


def _validate_sleep(handler: Obj, grace: int, at: str) -> list[Cause]:
    seconds = (handler.get("sleep") or {}).get("seconds", 0)
    if 0 <= seconds <= max(grace, 0):
        return []
    text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
    return [Cause.invalid(at, seconds, text)]


def _validate_stop_signal(signal: str, at: str, pod: Obj) -> list[Cause]:
    system = (pod.get("os") or {}).get("name")
    if not system:
        return [Cause.forbidden(at, "may not be set for containers with empty `spec.os.name`")]
    return one_of(at, signal, ("SIGKILL", "SIGTERM") if system == "windows" else _SIGNALS)

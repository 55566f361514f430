"""Containers that ended: which of them a status may call running or waiting again.

Upstream: ValidateContainerStateTransition and its brothers in pkg/apis/core/validation/validation.go,
ContainerShouldRestart in pkg/api/v1/pod/util.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.meta import Obj

_STATUSES = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "",
}


def validate_transitions(status: Obj, old: Obj, spec: Obj) -> Iterator[Cause]:
    """Of the containers of a pod with that spec."""
    for field, containers in _STATUSES.items():
        if containers and _all_may_restart(spec):
            continue
        known = {each.get("name"): each for each in spec.get(containers) or ()}
        after = {each.get("name"): each.get("state") or {} for each in status.get(field) or ()}
        for index, before in enumerate(old.get(field) or ()):
            name, ended = before.get("name"), (before.get("state") or {}).get("terminated")
            if ended is None or name not in after or after[name].get("terminated") is not None:
                continue
            container = known.get(name)
            if container is None or not _should_restart(container, spec, ended.get("exitCode", 0)):
                text = "may not be transitioned to non-terminated state"
                yield Cause.forbidden(f"status.{field}[{index}].state", text)


def _all_may_restart(spec: Obj) -> bool:
    """Whether the end of some container may have all of them run again."""
    return any(
        rule.get("action") == "RestartAllContainers"
        for containers in ("initContainers", "containers")
        for container in spec.get(containers) or ()
        for rule in container.get("restartPolicyRules") or ()
    )


def _should_restart(container: Obj, spec: Obj, code: int) -> bool:
    policy = container.get("restartPolicy")
    if policy and any(_matches(rule, code) for rule in container.get("restartPolicyRules") or ()):
        return True
    match policy or spec.get("restartPolicy"):
        case "Never":
            return False
        case "OnFailure":
            return code != 0
    return True


def _matches(rule: Obj, code: int) -> bool:
    if rule.get("action") != "Restart":
        return False
    codes = rule.get("exitCodes") or {}
    return (code in (codes.get("values") or ())) == (codes.get("operator") == "In")

"""What a failed pod means, and when a Job has succeeded early: podFailurePolicy and successPolicy.

Source: pkg/controller/job/{pod_failure_policy,success_policy}.go (KEP-3329, KEP-3998).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wellhead.api.kinds.job.indexes import Indexes
from wellhead.api.meta import Obj
from wellhead.api.types.pod import Pod


@dataclass(frozen=True)
class Verdict:
    """What the first rule that matches a failed pod says; without one, it counts."""

    counts: bool = True
    """Whether it counts towards the back-off limits."""
    action: str = ""
    message: str = ""
    """Why the Job fails, if it does."""


def judge(policy: Obj | None, pod: Pod) -> Verdict:
    """The verdict of a podFailurePolicy on a failed pod."""
    metadata = pod["metadata"]
    name = f"{metadata.get('namespace', '')}/{metadata['name']}"
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule["action"]
        if codes := rule.get("onExitCodes"):
            container = _by_exit_code(pod, codes)
            if container is None:
                continue
            code = container["state"]["terminated"]["exitCode"]
            what = f"Container {container['name']} for pod {name} failed with exit code {code}"
        else:
            met = _by_condition(pod, rule.get("onPodConditions") or ())
            if met is None:
                continue
            what = f"Pod {name} has condition {met}"
        if action == "FailJob":
            return Verdict(True, action, f"{what} matching {action} rule at index {index}")
        return Verdict(action != "Ignore", action)
    return Verdict()


def _by_exit_code(pod: Pod, codes: Obj) -> Obj | None:
    """The first ended container that the requirement is about."""
    status: Mapping[str, Any] = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(field) or ():
            ended = (container.get("state") or {}).get("terminated")
            if ended is None or codes.get("containerName") not in (None, container.get("name")):
                continue
            code = ended.get("exitCode", 0)
            if code != 0 and (code in (codes.get("values") or ())) == (codes["operator"] == "In"):
                found: Obj = container
                return found
    return None


def _by_condition(pod: Pod, patterns: Iterable[Obj]) -> str | None:
    wanted = {(each["type"], each["status"]) for each in patterns}
    status: Mapping[str, Any] = pod.get("status") or {}
    for entry in status.get("conditions") or ():
        if (entry["type"], entry.get("status")) in wanted:
            return str(entry["type"])
    return None


def early_success(policy: Obj | None, completions: int, succeeded: Indexes) -> str | None:
    """Which rule of a successPolicy is met, in words; None: none."""
    for number, rule in enumerate((policy or {}).get("rules") or () if len(succeeded) else ()):
        count, text = rule.get("succeededCount"), rule.get("succeededIndexes")
        if text is None:
            met = count is not None and len(succeeded) >= count
        else:
            required = Indexes.parse(text, completions)
            common = required.common(succeeded)
            met = len(required) > 0 and (common == len(required) or (count is not None and common >= count))
        if met:
            return f"Matched rules at index {number}"
    return None

"""What a valid Job spec is: a Job's own, and a CronJob's template.

Upstream: validateJobSpec and what it calls, in pkg/apis/batch/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_subdomain, qualified_name
from wellhead.api.kinds.job.indexes import count_indexes
from wellhead.api.kinds.pod.annotations import validate_annotations as validate_pod_annotations
from wellhead.api.kinds.pod.rules import validate_pod_spec
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_annotations, validate_labels

_NOT_NEGATIVE = "must be greater than or equal to 0"
_MODES = ("NonIndexed", "Indexed")
_REPLACEMENT_POLICIES = ("Failed", "TerminatingOrFailed")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_HIGH_COMPLETIONS = 100_000
_HIGH_COMPLETIONS_LIMIT = 10_000
_MOST_RULES = 20
_MOST_EXIT_CODES = 255
_LONGEST_INDEXES = 64 * 1024
_LONGEST_MANAGER = 63
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def validate_job_spec(spec: Obj, at: str) -> list[Cause]:
    """All but the selector, which a CronJob's template doesn't have."""
    causes = [
        Cause.invalid(f"{at}.{field}", spec[field], _NOT_NEGATIVE)
        for field in (
            "parallelism",
            "completions",
            "activeDeadlineSeconds",
            "backoffLimit",
            "ttlSecondsAfterFinished",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        )
        if spec.get(field, 0) < 0
    ]
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        causes.append(Cause.required(f"{at}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if "managedBy" in spec:
        causes += _validate_manager(spec["managedBy"], f"{at}.managedBy")
    causes += _validate_mode(spec, at)
    if (policy := spec.get("podFailurePolicy")) is not None:
        causes += _validate_failure_policy(policy, spec, f"{at}.podFailurePolicy.rules")
    if (policy := spec.get("successPolicy")) is not None:
        if spec.get("completionMode") != "Indexed":
            causes.append(Cause.invalid(f"{at}.successPolicy", policy, "requires indexed completion mode"))
        else:
            causes += _validate_success_policy(policy, spec, f"{at}.successPolicy.rules")
    allowed = _REPLACEMENT_POLICIES if "podFailurePolicy" not in spec else ("Failed",)
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None and replacement not in allowed:
        causes.append(Cause.not_supported(f"{at}.podReplacementPolicy", replacement, allowed))
    causes += _validate_template(spec["template"], f"{at}.template")
    return causes + _validate_restart_policy(spec, f"{at}.template.spec.restartPolicy")


def _validate_manager(name: str, at: str) -> list[Cause]:
    host, _, path = name.partition("/")
    if not name:
        return [Cause.required(at)]
    if not (host and path):
        causes = [Cause.invalid(at, name, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    else:
        causes = [Cause.invalid(at, host, problem) for problem in dns_subdomain(host)]
        if not re.fullmatch(_HTTP_PATH, path, re.ASCII):
            text = f"Invalid path (regex used for validation is '{_HTTP_PATH}')"
            causes.append(Cause.invalid(at, path, text))
    if len(name) > _LONGEST_MANAGER:
        causes.append(Cause.too_long(at, _LONGEST_MANAGER))
    return causes


def _validate_mode(spec: Obj, at: str) -> list[Cause]:
    mode = spec.get("completionMode") or "NonIndexed"
    if mode == "Indexed":
        return _validate_indexed(spec, at)
    if mode != "NonIndexed":
        return [Cause.not_supported(f"{at}.completionMode", mode, _MODES)]
    return [
        Cause.invalid(f"{at}.{field}", spec[field], "requires indexed completion mode")
        for field in ("backoffLimitPerIndex", "maxFailedIndexes")
        if field in spec
    ]


def _validate_indexed(spec: Obj, at: str) -> list[Cause]:
    causes = []
    completions, parallelism = spec.get("completions"), spec.get("parallelism", 1)
    most_failed = spec.get("maxFailedIndexes")
    if completions is None:
        causes.append(Cause.required(f"{at}.completions", "when completion mode is Indexed"))
    if parallelism > _HIGH_COMPLETIONS:
        text = f"must be less than or equal to {_HIGH_COMPLETIONS} when completion mode is Indexed"
        causes.append(Cause.invalid(f"{at}.parallelism", parallelism, text))
    if most_failed is not None:
        if completions is not None and most_failed > completions:
            text = "must be less than or equal to completions"
            causes.append(Cause.invalid(f"{at}.maxFailedIndexes", most_failed, text))
        if most_failed > _HIGH_COMPLETIONS:
            text = f"must be less than or equal to {_HIGH_COMPLETIONS}"
            causes.append(Cause.invalid(f"{at}.maxFailedIndexes", most_failed, text))
    if completions is None or completions <= _HIGH_COMPLETIONS or "backoffLimitPerIndex" not in spec:
        return causes
    text = (
        f"must be less than or equal to {_HIGH_COMPLETIONS_LIMIT} when completions are above "
        f"{_HIGH_COMPLETIONS} and used with backoff limit per index"
    )
    if most_failed is None:
        needed = f"must be specified when completions is above {_HIGH_COMPLETIONS}"
        causes.append(Cause.required(f"{at}.maxFailedIndexes", needed))
    if parallelism > _HIGH_COMPLETIONS_LIMIT:
        causes.append(Cause.invalid(f"{at}.parallelism", parallelism, text))
    if most_failed is not None and most_failed > _HIGH_COMPLETIONS_LIMIT:
        causes.append(Cause.invalid(f"{at}.maxFailedIndexes", most_failed, text))
    return causes


def _validate_failure_policy(policy: Obj, spec: Obj, at: str) -> list[Cause]:
    rules: Sequence[Obj] = policy.get("rules") or ()
    causes = []
    if len(rules) > _MOST_RULES:
        causes.append(Cause.too_many(at, len(rules), _MOST_RULES))
    pod = spec["template"]["spec"]
    names = {each.get("name") for field in ("containers", "initContainers") for each in pod.get(field) or ()}
    for index, rule in enumerate(rules):
        here = f"{at}[{index}]"
        action = rule.get("action")
        if not action:
            valid = " ".join(f'"{each}"' for each in _ACTIONS)
            causes.append(Cause.required(f"{here}.action", f"valid values: [{valid}]"))
        elif action == "FailIndex":
            if "backoffLimitPerIndex" not in spec:
                text = "requires the backoffLimitPerIndex to be set"
                causes.append(Cause.invalid(f"{here}.action", action, text))
        elif action not in _ACTIONS:
            causes.append(Cause.not_supported(f"{here}.action", action, _ACTIONS))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            causes += _validate_exit_codes(codes, names, f"{here}.onExitCodes")
        causes += _validate_patterns(conditions, f"{here}.onPodConditions")
        if codes is not None and conditions:
            text = "specifying both OnExitCodes and OnPodConditions is not supported"
            causes.append(Cause(here, "FieldValueInvalid", f"Invalid value: {text}"))
        if codes is None and not conditions:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            causes.append(Cause(here, "FieldValueInvalid", f"Invalid value: {text}"))
    return causes


def _validate_patterns(patterns: Sequence[Obj], at: str) -> list[Cause]:
    causes = [Cause.too_many(at, len(patterns), _MOST_RULES)] if len(patterns) > _MOST_RULES else []
    for index, pattern in enumerate(patterns):
        here, name, status = f"{at}[{index}]", pattern.get("type") or "", pattern.get("status")
        causes += [Cause.invalid(f"{here}.type", name, problem) for problem in qualified_name(name)]
        if status not in _STATUSES:
            causes.append(Cause.not_supported(f"{here}.status", status or "", _STATUSES))
    return causes


def _validate_exit_codes(codes: Obj, names: set[str | None], at: str) -> list[Cause]:
    causes = []
    operator, name, values = codes.get("operator"), codes.get("containerName"), codes.get("values") or ()
    if not operator:
        valid = " ".join(f'"{each}"' for each in _OPERATORS)
        causes.append(Cause.required(f"{at}.operator", f"valid values: [{valid}]"))
    elif operator not in _OPERATORS:
        causes.append(Cause.not_supported(f"{at}.operator", operator, _OPERATORS))
    if name is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        causes.append(Cause.invalid(f"{at}.containerName", name, text))
    if not values:
        causes.append(Cause.invalid(f"{at}.values", values, "at least one value is required"))
    elif len(values) > _MOST_EXIT_CODES:
        causes.append(Cause.too_many(f"{at}.values", len(values), _MOST_EXIT_CODES))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            causes.append(Cause.invalid(f"{at}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            causes.append(Cause.duplicate(f"{at}.values[{index}]", value))
        seen.add(value)
    if list(values) != sorted(values):
        causes.append(Cause.invalid(f"{at}.values", values, "must be ordered"))
    return causes


def _validate_success_policy(policy: Obj, spec: Obj, at: str) -> list[Cause]:
    rules: Sequence[Obj] = policy.get("rules") or ()
    causes = []
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        causes.append(Cause.required(at, text))
    if len(rules) > _MOST_RULES:
        causes.append(Cause.too_many(at, len(rules), _MOST_RULES))
    completions = spec.get("completions", 0)
    for index, rule in enumerate(rules):
        here, count, indexes = f"{at}[{index}]", rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            text = "at least one of succeededCount or succeededIndexes must be specified"
            causes.append(Cause.required(here, text))
        total = 0
        if indexes is not None:
            if len(indexes) > _LONGEST_INDEXES:
                causes.append(Cause.too_long(f"{here}.succeededIndexes", _LONGEST_INDEXES))
            try:
                total = count_indexes(indexes, completions)
            except ValueError as error:
                text = f"error parsing succeededIndexes: {error}"
                causes.append(Cause.invalid(f"{here}.succeededIndexes", indexes, text))
        if count is None:
            continue
        here = f"{here}.succeededCount"
        if count < 0:
            causes.append(Cause.invalid(here, count, _NOT_NEGATIVE))
        if count > completions:
            text = f"must be less than or equal to {completions} (the number of specified completions)"
            causes.append(Cause.invalid(here, count, text))
        if indexes is not None and count > total:
            text = (
                f"must be less than or equal to {total} "
                "(the number of indexes in the specified succeededIndexes field)"
            )
            causes.append(Cause.invalid(here, count, text))
    return causes


def _validate_template(template: Obj, at: str) -> list[Cause]:
    metadata = template["metadata"]
    causes = validate_labels(metadata.get("labels"), f"{at}.labels")
    causes += validate_annotations(metadata.get("annotations"), f"{at}.annotations")
    said = (template.get("metadata") or {}).get("annotations") or {}
    causes += validate_pod_annotations(said, template["spec"], f"{at}.annotations")
    causes += validate_pod_spec(template["spec"], f"{at}.spec")
    if template["spec"].get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        causes.append(Cause.forbidden(f"{at}.spec.ephemeralContainers", text))
    return causes


def _validate_restart_policy(spec: Obj, at: str) -> list[Cause]:
    policy = spec["template"]["spec"]["restartPolicy"]
    if policy == "Always":
        return [Cause.required(at, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [Cause.not_supported(at, policy, ("OnFailure", "Never"))]
    if "podFailurePolicy" in spec and policy != "Never":
        return [Cause.invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []

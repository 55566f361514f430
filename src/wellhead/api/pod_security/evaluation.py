"""A pod held against a policy."""

from __future__ import annotations

from functools import lru_cache

from wellhead.api.meta import Obj
from wellhead.api.pod_security import baseline, restricted
from wellhead.api.pod_security.levels import Policy
from wellhead.api.pod_security.words import Check, Finding, Versioned


def evaluate(policy: Policy, metadata: Obj, spec: Obj) -> list[Finding]:
    """What of the pod the policy forbids."""
    found = (check(metadata, spec) for check in _checks(policy))
    return [each for each in found if each is not None]


@lru_cache(maxsize=128)
def _checks(policy: Policy) -> tuple[Check, ...]:
    """Those of the level, as they are in the version: upstream's order."""
    if policy.level == "privileged":
        return ()
    below = _as_of(baseline.CHECKS, policy.minor)
    if policy.level == "baseline":
        return tuple(below[name] for name in sorted(below))
    above = _as_of(restricted.CHECKS, policy.minor)
    replaced = {restricted.OVERRIDES[name] for name in above if name in restricted.OVERRIDES}
    kept = [below[name] for name in sorted(below) if name not in replaced]
    return (*kept, *(above[name] for name in sorted(above)))


def _as_of(checks: Versioned, minor: int | None) -> dict[str, Check]:
    found: dict[str, Check] = {}
    for name, versions in checks.items():
        for since, check in versions:
            if minor is None or since <= minor:
                found[name] = check
    return found

"""What PodSecurity is told beside the namespaces' labels: defaults, and who and what is exempt.

Upstream: pod-security-admission's admission/api.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label, dns_subdomain
from wellhead.api.meta import Obj
from wellhead.api.pod_security.levels import (
    DEFAULTS,
    LEVELS,
    NO_LEVEL,
    NO_VERSION,
    Policies,
    Policy,
    minor_of,
)

_MODES = ("enforce", "audit", "warn")
_EXEMPTIONS = ("usernames", "namespaces", "runtimeClasses")


@dataclass(frozen=True)
class Configuration:
    defaults: Policies = DEFAULTS
    users: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


def configuration(told: Obj) -> tuple[Configuration, list[Cause]]:
    """The configuration, and what is wrong with it."""
    defaults, exemptions = told.get("defaults") or {}, told.get("exemptions") or {}
    causes = [*_unknown(told, defaults, exemptions)]
    policies = {}
    for mode in _MODES:
        level, version = defaults.get(mode) or "privileged", defaults.get(f"{mode}-version") or "latest"
        if level not in LEVELS:
            causes.append(Cause.invalid(f"defaults.{mode}", level, NO_LEVEL))
            level = "privileged"
        minor: int | None = None
        try:
            minor = minor_of(str(version))
        except ValueError:
            causes.append(Cause.invalid(f"defaults.{mode}-version", version, NO_VERSION))
        policies[mode] = Policy(level, minor)
    checks: tuple[Callable[[str], list[str]], ...] = (
        lambda name: [] if name else ["username must not be empty"],
        lambda name: list(dns_label(name)),
        lambda name: list(dns_subdomain(name)),
    )
    for field, check in zip(_EXEMPTIONS, checks, strict=True):
        causes += _of_names(exemptions.get(field) or [], f"exemptions.{field}", check)
    users, namespaces, classes = (frozenset(exemptions.get(field) or ()) for field in _EXEMPTIONS)
    return Configuration(Policies(**policies), users, namespaces, classes), causes


def _unknown(told: Obj, defaults: Obj, exemptions: Obj) -> Iterator[Cause]:
    versions = (f"{mode}-version" for mode in _MODES)
    for at, obj, known in (
        ("", told, ("apiVersion", "kind", "defaults", "exemptions")),
        ("defaults.", defaults, (*_MODES, *versions)),
        ("exemptions.", exemptions, _EXEMPTIONS),
    ):
        for name in obj:
            if name not in known:
                yield Cause.forbidden(f"{at}{name}", "unknown field")


def _of_names(names: list[str], at: str, check: Callable[[str], list[str]]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if problems := check(name):
            yield Cause.invalid(f"{at}[{index}]", name, ", ".join(problems))
        elif name in seen:
            yield Cause.duplicate(f"{at}[{index}]", name)
        seen.add(name)

"""Which policies a namespace's labels ask for: enforced, audited, warned of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wellhead.api.errors import Cause

LEVELS = ("privileged", "baseline", "restricted")
PREFIX = "pod-security.kubernetes.io/"
_VERSION = re.compile(r"v1\.(0|[1-9]\d*)", re.ASCII)
NO_LEVEL = "must be one of privileged, baseline, restricted"
NO_VERSION = 'must be "latest" or "v1.x"'


@dataclass(frozen=True, slots=True)
class Policy:
    """A level as it is in a version of Kubernetes."""

    level: str = "privileged"
    minor: int | None = None
    """1.MINOR; None is the newest."""

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor is None else f'v1.{self.minor}'}"

    @property
    def strictness(self) -> int:
        return LEVELS.index(self.level)


@dataclass(frozen=True, slots=True)
class Policies:
    enforce: Policy = Policy()
    audit: Policy = Policy()
    warn: Policy = Policy()

    @property
    def is_privileged(self) -> bool:
        """Whether all of them allow everything."""
        return not any(each.strictness for each in (self.enforce, self.audit, self.warn))


DEFAULTS = Policies()


def policies(labels: Mapping[str, str], defaults: Policies = DEFAULTS) -> tuple[Policies, list[Cause]]:
    """What the labels ask for, or else the defaults, and what of the labels means nothing.

    An unknown level that is to be enforced is the strictest, another one is none.
    """
    causes: list[Cause] = []
    found: dict[str, Policy] = {}
    for mode in ("enforce", "audit", "warn"):
        default: Policy = getattr(defaults, mode)
        unknown = "restricted" if mode == "enforce" else "privileged"
        level = _read(labels, causes, mode, unknown, default.level)
        found[mode] = Policy(level, _minor(labels, causes, mode, default.minor))
    enforced = found["enforce"]
    is_level = labels.get(f"{PREFIX}enforce") in LEVELS
    stricter = enforced.strictness > found["warn"].strictness
    if is_level and f"{PREFIX}warn" not in labels and stricter:
        known = f"{PREFIX}warn-version" in labels
        found["warn"] = Policy(enforced.level, found["warn"].minor if known else enforced.minor)
    return Policies(**found), causes


def minor_of(text: str) -> int | None:
    """Of a version's text. Raises ValueError."""
    if text == "latest":
        return None
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(NO_VERSION)
    return int(match[1])


def _read(labels: Mapping[str, str], causes: list[Cause], mode: str, unknown: str, default: str) -> str:
    level = labels.get(f"{PREFIX}{mode}")
    if level is None:
        return default
    if level in LEVELS:
        return level
    causes.append(Cause.invalid(f"metadata.labels[{PREFIX}{mode}]", level, NO_LEVEL))
    return unknown


def _minor(labels: Mapping[str, str], causes: list[Cause], mode: str, default: int | None) -> int | None:
    name = f"{PREFIX}{mode}-version"
    if name not in labels:
        return default
    try:
        return minor_of(labels[name])
    except ValueError:
        causes.append(Cause.invalid(f"metadata.labels[{name}]", labels[name], NO_VERSION))
        return None

"""Which policies a namespace's labels ask for: enforced, audited, warned of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from wellhead.api.errors import Cause

LEVELS = ("privileged", "baseline", "restricted")
PREFIX = "pod-security.kubernetes.io/"
_VERSION = re.compile(r"v1\.(0|[1-9]\d*)", re.ASCII)
_NO_LEVEL = "must be one of privileged, baseline, restricted"
_NO_VERSION = 'must be "latest" or "v1.x"'


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


def policies(labels: Mapping[str, str]) -> tuple[Policies, list[Cause]]:
    """What the labels ask for, and what of them means nothing.

    An unknown level that is to be enforced is the strictest, another one is none.
    """
    causes: list[Cause] = []
    found: dict[str, Policy] = {}
    read = partial(_read, labels, causes)
    for mode in ("enforce", "audit", "warn"):
        unknown = "restricted" if mode == "enforce" else "privileged"
        found[mode] = Policy(read(mode, unknown), _minor(labels, causes, mode))
    enforced = found["enforce"]
    is_level = labels.get(f"{PREFIX}enforce") in LEVELS
    if is_level and f"{PREFIX}warn" not in labels and enforced.strictness:
        known = f"{PREFIX}warn-version" in labels
        found["warn"] = Policy(enforced.level, found["warn"].minor if known else enforced.minor)
    return Policies(**found), causes


def _read(labels: Mapping[str, str], causes: list[Cause], mode: str, unknown: str) -> str:
    level = labels.get(f"{PREFIX}{mode}")
    if level is None:
        return "privileged"
    if level in LEVELS:
        return level
    causes.append(Cause.invalid(f"metadata.labels[{PREFIX}{mode}]", level, _NO_LEVEL))
    return unknown


def _minor(labels: Mapping[str, str], causes: list[Cause], mode: str) -> int | None:
    name = f"{PREFIX}{mode}-version"
    text = labels.get(name, "latest")
    if text == "latest":
        return None
    match = _VERSION.fullmatch(text)
    if match is None:
        causes.append(Cause.invalid(f"metadata.labels[{name}]", text, _NO_VERSION))
        return None
    return int(match[1])

"""The agent's settings, from a KubeletConfiguration file of which it knows some fields and refuses others.

Source: k8s.io/kubelet/config/v1beta1 and pkg/kubelet/apis/config/validation of v1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import yaml

from wellhead.api.duration import Duration
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.images import access
from wellhead.images.access import Policy
from wellhead.node.eviction import thresholds
from wellhead.node.eviction.thresholds import Threshold, ThresholdError

API_VERSION, KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"

EVICTION_HARD = {"nodefs.available": "256Mi", "nodefs.inodesFree": "1%"}
"""Nodes share the memory and the disk of one box, most of which isn't the cluster's.

Upstream's 10 % of the disk would make every node of a well-filled one useless; and by upstream's 100Mi of
memory, a moment's shortage by a neighbour (a compiler, a browser) would end a pod on every node, and close
all of them for five minutes.
"""

# kernel.sem as upstream; what ends in * is a beginning (k8s.io/component-helpers, node/util/sysctl).
_NAMESPACED = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.", "net.")
_SYSTEM_CRITICAL = 2_000_000_000


class ConfigurationError(ValueError):
    """A file that can't be used; the message names the field."""


class ShutdownGracePeriod(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Pods of this priority and higher ones, below the next entry's, have so many seconds."""

    priority: int = 0
    shutdown_grace_period_seconds: int = 0


class _File(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    apiVersion: str  # noqa: N815 as `rename` would have it
    kind: str
    eviction_hard: dict[str, str] | None = None
    eviction_soft: dict[str, str] | None = None
    eviction_soft_grace_period: dict[str, str] | None = None
    eviction_minimum_reclaim: dict[str, str] | None = None
    eviction_pressure_transition_period: str | None = None
    eviction_max_pod_grace_period: int | None = None
    merge_default_eviction_settings: bool | None = None
    local_storage_capacity_isolation: bool | None = None
    shutdown_grace_period: str | None = None
    shutdown_grace_period_critical_pods: str | None = None
    shutdown_grace_period_by_pod_priority: tuple[ShutdownGracePeriod, ...] | None = None
    container_log_max_size: str | None = None
    container_log_max_files: int | None = None
    container_log_monitor_interval: str | None = None
    image_pull_credentials_verification_policy: str | None = None
    preloaded_images_verification_allowlist: tuple[str, ...] | None = None
    seccomp_default: bool = False
    allowed_unsafe_sysctls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Eviction:
    """When pods are evicted. Times in seconds; `longest_grace` is for soft thresholds."""

    thresholds: tuple[Threshold, ...] = field(
        default_factory=lambda: thresholds.parse(EVICTION_HARD, {}, {}, {})
    )
    transition: float = 300.0
    longest_grace: int = 0
    local_storage: bool = True


@dataclass(frozen=True)
class Logs:
    """How containers' logs are rotated: bytes of a file, files with the one that is written, seconds."""

    max_size: int = 10 << 20
    max_files: int = 5
    interval: float = 10.0


@dataclass(frozen=True)
class Configuration:
    """All of it. `shutdown` is by rising priority; empty: pods are not ended when the node goes."""

    eviction: Eviction = field(default_factory=Eviction)
    logs: Logs = field(default_factory=Logs)
    shutdown: tuple[ShutdownGracePeriod, ...] = ()
    image_access: Policy = field(default_factory=Policy)
    seccomp_default: bool = False
    unsafe_sysctls: tuple[str, ...] = ()
    shown: Obj = field(default_factory=dict)
    """As /configz tells it."""


def read(path: Path) -> Configuration:
    """The settings in a file. Raises ConfigurationError."""
    try:
        return parse(yaml.load(path.read_bytes(), yaml.CSafeLoader))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path}: no YAML or JSON: {error}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def parse(document: object) -> Configuration:
    """The settings in a parsed file. Raises ConfigurationError."""
    if not isinstance(document, dict):
        raise ConfigurationError(f"it is no {KIND}")
    for name, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(name) != wanted:
            raise ConfigurationError(f"{name}: {document.get(name)!r} is not {wanted}")
    try:
        file = msgspec.convert(document, _File, strict=True)
    except msgspec.ValidationError as error:
        known = ", ".join(sorted(set(_File.__struct_encode_fields__) - {"apiVersion", "kind"}))
        raise ConfigurationError(f"{error}; the agent knows of {KIND}: {known}") from None
    return _configuration(file)


def default() -> Configuration:
    """What holds without a file."""
    return _configuration(_File(API_VERSION, KIND))


def _configuration(file: _File) -> Configuration:
    hard = _eviction_hard(file)
    transition = _seconds("evictionPressureTransitionPeriod", file.eviction_pressure_transition_period)
    shutdown = _shutdown(file)
    policy = _policy(file)
    size = Quantity.parse(file.container_log_max_size or "10Mi") if _is_quantity(file) else None
    if size is None or size.value <= 0:
        raise ConfigurationError(f"containerLogMaxSize: {file.container_log_max_size!r} is no size")
    files = 5 if file.container_log_max_files is None else file.container_log_max_files
    if files < 2:
        raise ConfigurationError("containerLogMaxFiles: must be greater than 1")
    interval = _seconds("containerLogMonitorInterval", file.container_log_monitor_interval) or 10.0
    if interval < 3:
        raise ConfigurationError("containerLogMonitorInterval: must be at least 3s")
    longest = file.eviction_max_pod_grace_period or 0
    if longest < 0:
        raise ConfigurationError("evictionMaxPodGracePeriod: must not be negative")
    try:
        parsed = thresholds.parse(
            hard,
            file.eviction_soft or {},
            file.eviction_soft_grace_period or {},
            file.eviction_minimum_reclaim or {},
        )
    except ThresholdError as error:
        raise ConfigurationError(str(error)) from None
    for each in file.allowed_unsafe_sysctls:
        if not each.startswith(_NAMESPACED):
            raise ConfigurationError(f"allowedUnsafeSysctls: {each!r} is not known to be namespaced")
    isolation = file.local_storage_capacity_isolation
    local_storage = True if isolation is None else isolation
    shown = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "evictionHard": hard,
        **{
            name: dict(value)
            for name, value in (
                ("evictionSoft", file.eviction_soft),
                ("evictionSoftGracePeriod", file.eviction_soft_grace_period),
                ("evictionMinimumReclaim", file.eviction_minimum_reclaim),
            )
            if value
        },
        "evictionPressureTransitionPeriod": file.eviction_pressure_transition_period or "5m0s",
        "evictionMaxPodGracePeriod": longest,
        "localStorageCapacityIsolation": local_storage,
        "shutdownGracePeriod": file.shutdown_grace_period or "0s",
        "shutdownGracePeriodCriticalPods": file.shutdown_grace_period_critical_pods or "0s",
        "containerLogMaxSize": file.container_log_max_size or "10Mi",
        "containerLogMaxFiles": files,
        "containerLogMonitorInterval": file.container_log_monitor_interval or "10s",
        "imagePullCredentialsVerificationPolicy": policy.name,
        "seccompDefault": file.seccomp_default,
        "allowedUnsafeSysctls": list(file.allowed_unsafe_sysctls),
    }
    if file.shutdown_grace_period_by_pod_priority:
        shown["shutdownGracePeriodByPodPriority"] = msgspec.to_builtins(shutdown)
    if policy.allowed:
        shown["preloadedImagesVerificationAllowlist"] = list(policy.allowed)
    return Configuration(
        Eviction(parsed, transition or 300.0, longest, local_storage),
        Logs(size.value, files, interval),
        shutdown,
        policy,
        file.seccomp_default,
        file.allowed_unsafe_sysctls,
        shown,
    )


def _eviction_hard(file: _File) -> Mapping[str, str]:
    if file.eviction_hard is None:
        return EVICTION_HARD
    # What somebody names replaces all, as upstream, unless they say that it shall be merged.
    return (
        {**EVICTION_HARD, **file.eviction_hard}
        if file.merge_default_eviction_settings
        else file.eviction_hard
    )


def _is_quantity(file: _File) -> bool:
    try:
        Quantity.parse(file.container_log_max_size or "10Mi")
    except ValueError:
        return False
    return True


def _seconds(name: str, text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = float(Duration.parse(text).seconds)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    if seconds < 0:
        raise ConfigurationError(f"{name}: must not be negative")
    return seconds


def _shutdown(file: _File) -> tuple[ShutdownGracePeriod, ...]:
    whole = _seconds("shutdownGracePeriod", file.shutdown_grace_period)
    critical = _seconds("shutdownGracePeriodCriticalPods", file.shutdown_grace_period_critical_pods)
    if file.shutdown_grace_period_by_pod_priority:
        if whole or critical:
            raise ConfigurationError(
                "shutdownGracePeriodByPodPriority: cannot be set beside shutdownGracePeriod and "
                "shutdownGracePeriodCriticalPods"
            )
        if any(each.shutdown_grace_period_seconds < 0 for each in file.shutdown_grace_period_by_pod_priority):
            raise ConfigurationError("shutdownGracePeriodByPodPriority: must not be negative")
        return tuple(sorted(file.shutdown_grace_period_by_pod_priority, key=lambda each: each.priority))
    for name, seconds in (("", whole), ("CriticalPods", critical)):
        if 0 < seconds < 1:
            raise ConfigurationError(f"shutdownGracePeriod{name}: must be either zero or at least 1 second")
    if critical > whole:
        raise ConfigurationError("shutdownGracePeriodCriticalPods: must be <= shutdownGracePeriod")
    if not whole:
        return ()
    return (
        ShutdownGracePeriod(0, int(whole - critical)),
        ShutdownGracePeriod(_SYSTEM_CRITICAL, int(critical)),
    )


def _policy(file: _File) -> Policy:
    name = file.image_pull_credentials_verification_policy or access.NEVER_VERIFY_PRELOADED
    allowed = file.preloaded_images_verification_allowlist or ()
    if name not in access.POLICIES:
        choice = ", ".join(access.POLICIES)
        raise ConfigurationError(f"imagePullCredentialsVerificationPolicy: {name!r} is none of {choice}")
    if allowed and name != access.NEVER_VERIFY_ALLOWLISTED:
        raise ConfigurationError(
            f"preloadedImagesVerificationAllowlist: only with the policy {access.NEVER_VERIFY_ALLOWLISTED}"
        )
    for each in allowed:
        if problem := access.allowlist_problem(each):
            raise ConfigurationError(f"preloadedImagesVerificationAllowlist: {problem}")
    return Policy(name, allowed)

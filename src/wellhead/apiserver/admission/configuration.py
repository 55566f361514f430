"""--admission-control-config-file: what single plugins are told (apiserver.config.k8s.io/v1).

Upstream: apiserver's pkg/admission/config.go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from wellhead.api.errors import Cause
from wellhead.api.meta import Obj

_API_VERSION, _KIND = "apiserver.config.k8s.io/v1", "AdmissionConfiguration"
CONFIGURED: dict[str, tuple[tuple[str, ...], str]] = {
    "EventRateLimit": (("eventratelimit.admission.k8s.io/v1alpha1",), "Configuration"),
    "PodSecurity": (
        ("pod-security.admission.config.k8s.io/v1", "pod-security.admission.config.k8s.io/v1beta1"),
        "PodSecurityConfiguration",
    ),
    "ResourceQuota": (
        (
            "apiserver.config.k8s.io/v1",
            "apiserver.config.k8s.io/v1beta1",
            "resourcequota.admission.k8s.io/v1",
        ),
        "",
    ),
}
"""The plugins that can be told something, and in which versions and kind ('': more than one)."""
_QUOTA_KINDS = ("ResourceQuotaConfiguration", "Configuration")


class ConfigurationError(ValueError):
    """A file that can't be used; says which, and why."""


def read_configuration(path: Path) -> dict[str, Obj]:
    """What each plugin is told, by its name. Raises ConfigurationError, OSError."""
    document = _document(path)
    if document.get("apiVersion") != _API_VERSION or document.get("kind") != _KIND:
        raise ConfigurationError(f"{path}: it must be an {_KIND} of {_API_VERSION}")
    found: dict[str, Obj] = {}
    for entry in _list(document, "plugins", path):
        name = entry.get("name") or ""
        if name not in CONFIGURED:
            known = ", ".join(CONFIGURED)
            raise ConfigurationError(f"{path}: {name!r} can't be configured here; these can: {known}")
        told = entry.get("configuration")
        if told is None and entry.get("path"):
            told = _document(path.parent / str(entry["path"]))
        if told is not None:
            found[name] = _checked(name, told, path)
    return found


def refuse(plugin: str, causes: Collection[Cause]) -> None:
    """Raises ConfigurationError if there are any."""
    if causes:
        text = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
        raise ConfigurationError(f"the configuration of {plugin}: {text}")


def strange(plugin: str, told: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises ConfigurationError for a field that isn't one of these: what nobody reads isn't accepted."""
    if unknown := sorted(set(told) - {"apiVersion", "kind", *known}):
        raise ConfigurationError(f"the configuration of {plugin}: unknown field {unknown[0]!r}")


def _document(path: Path) -> Obj:
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: it is not an object")
    return document


def _list(document: Obj, field: str, path: Path) -> list[Obj]:
    found = document.get(field) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigurationError(f"{path}: {field} must be a list of objects")
    return found


def _checked(name: str, told: object, path: Path) -> Obj:
    versions, kind = CONFIGURED[name]
    kinds = (kind,) if kind else _QUOTA_KINDS
    if not isinstance(told, dict) or told.get("apiVersion") not in versions or told.get("kind") not in kinds:
        raise ConfigurationError(f"{path}: {name} is configured by a {kinds[0]} of {versions[0]}")
    return told

"""Secrets."""

from __future__ import annotations

import base64
from datetime import datetime

import msgspec

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import config_key
from wellhead.api.kind import Kind
from wellhead.api.kinds.configmap import validate_immutable
from wellhead.api.meta import Obj
from wellhead.api.names import DOCKER_CONFIG, OLD_DOCKER_CONFIG
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.warnings.certificates import of_pair

SECRETS = Resource("", "v1", "Secret", "secrets", field_labels=("type",), strict_field_labels=True)

_MAX_SIZE = 1024 * 1024  # bytes
_ACCOUNT_TYPE = "kubernetes.io/service-account-token"
_ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"
_REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    OLD_DOCKER_CONFIG: (".dockercfg",),
    DOCKER_CONFIG: (".dockerconfigjson",),
}
_REDACTED = "<secret contents redacted>"


class SecretStrategy(Strategy):
    repeats_warnings = True

    def default(self, obj: Obj) -> None:
        obj["type"] = obj.get("type") or "Opaque"
        # Write-only: what is given in clear is stored encoded, and wins.
        for name, value in (obj.pop("stringData", None) or {}).items():
            obj.setdefault("data", {})[name] = base64.b64encode(value.encode()).decode()

    def warnings(self, obj: Obj) -> list[str]:
        return of_pair(obj.get("data") or {}) if obj.get("type") == "kubernetes.io/tls" else []

    def validate(self, obj: Obj) -> list[Cause]:
        data = obj.get("data") or {}
        causes = [
            Cause.invalid(f"data[{name}]", name, problem) for name in data for problem in config_key(name)
        ]
        if sum(len(value) * 3 // 4 for value in data.values()) > _MAX_SIZE:
            causes.append(Cause.too_long("data", _MAX_SIZE))
        for name in _REQUIRED_KEYS.get(obj["type"], ()):
            if name not in data:
                causes.append(Cause.required(f"data[{name}]"))
            elif name.startswith(".docker") and (problem := _problem_with_json(data[name])):
                causes.append(Cause.invalid(f"data[{name}]", _REDACTED, problem))
        if obj["type"] == "kubernetes.io/ssh-auth" and not data.get("ssh-privatekey"):
            causes.append(Cause.required("data[ssh-privatekey]"))
        if obj["type"] == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
            causes += [Cause.required("data[username]"), Cause.required("data[password]")]
        if obj["type"] == _ACCOUNT_TYPE and not (obj["metadata"].get("annotations") or {}).get(
            _ACCOUNT_ANNOTATION
        ):
            causes.append(Cause.required(f"metadata.annotations[{_ACCOUNT_ANNOTATION}]"))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = validate_immutable(new, old, "data")
        if new["type"] != old["type"]:
            causes.append(Cause.invalid("type", new["type"], "field is immutable"))
        return causes + self.validate(new)


def _problem_with_json(encoded: str) -> str:
    """Why base64's content is no JSON object; it says nothing of what is in it."""
    try:
        msgspec.json.decode(base64.b64decode(encoded), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, ValueError):
        return "is not a JSON object"
    return ""


def _cells(secret: Obj, now: datetime) -> list[Cell]:
    return [
        cells.name(secret),
        secret.get("type", ""),
        len(secret.get("data") or ()),
        cells.created(secret, now),
    ]


_PRINTER = Printer((NAME, Column("Type"), Column("Data"), AGE), _cells)

KIND = Kind(SECRETS, SecretStrategy(), _PRINTER)

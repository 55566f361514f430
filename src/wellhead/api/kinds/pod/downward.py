"""References to a pod's own fields, and to keys of ConfigMaps and Secrets: in variables and in volumes.

Upstream: validateObjectFieldSelector, validateContainerResourceFieldSelector, ValidateEnvFrom … in
pkg/apis/core/validation/validation.go, and ConvertDownwardAPIFieldLabel in pkg/apis/core/pods/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import config_key, dns_subdomain, env_name, qualified_name
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

FIELDS_OF_VARIABLES = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
FIELDS_OF_VOLUMES = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
# What is the name of a field at all, besides those.
_FIELDS = (
    *FIELDS_OF_VARIABLES,
    *FIELDS_OF_VOLUMES,
    "spec.host",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
)
_AMOUNTS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("requests.hugepages-", "limits.hugepages-")
_SUBSCRIPTED = re.compile(r"([^\[]+)\['(.*)'\]", re.ASCII | re.DOTALL)
_SIZES = ("1", *(f"1{unit}{i}" for i in ("", "i") for unit in ("k" if not i else "K", *"MGTPE")))
_DIVISORS = {
    "cpu": (("1m", "1"), "cpu"),
    "memory": (_SIZES, "memory"),
    "ephemeral-storage": (_SIZES, "local ephemeral storage"),
}


def validate_field_reference(reference: Obj, at: str, supported: Sequence[str]) -> Iterator[Cause]:
    """A fieldRef, with its default apiVersion."""
    version, path = reference.get("apiVersion") or "", reference.get("fieldPath") or ""
    if not path:
        yield Cause.required(f"{at}.fieldPath")
        return
    subscripted = _SUBSCRIPTED.fullmatch(path)
    if problem := _problem(version, path, subscripted):
        yield Cause.invalid(f"{at}.fieldPath", path, f"error converting fieldPath: {problem}")
    elif subscripted is not None:
        key = subscripted[2].lower() if subscripted[1] == "metadata.annotations" else subscripted[2]
        for problem in qualified_name(key):
            yield Cause.invalid(at, key, problem)
    else:
        yield from one_of(f"{at}.fieldPath", "spec.nodeName" if path == "spec.host" else path, supported)


def _problem(version: str, path: str, subscripted: re.Match[str] | None) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if subscripted is not None and subscripted[1] not in ("metadata.annotations", "metadata.labels"):
        return f"field label does not support subscript: {path}"
    return f"field label not supported: {path}" if subscripted is None and path not in _FIELDS else ""


def validate_resource_reference(reference: Obj, at: str, *, of_volume: bool) -> Iterator[Cause]:
    """A resourceFieldRef; in a volume it must say which container it is about."""
    resource = reference.get("resource") or ""
    if of_volume and not reference.get("containerName"):
        yield Cause.required(f"{at}.containerName")
    elif not resource:
        yield Cause.required(f"{at}.resource")
    elif not resource.startswith(_HUGE_PAGES):
        yield from one_of(f"{at}.resource", resource, _AMOUNTS)
    try:
        divisor = str(Quantity.parse(reference.get("divisor") or "0"))
    except ValueError as error:
        yield Cause.invalid(f"{at}.divisor", reference["divisor"], str(error))
        return
    kind = resource.partition(".")[2]
    sizes, named = (_SIZES, "hugepages") if kind.startswith("hugepages-") else _DIVISORS.get(kind, ((), ""))
    if divisor != "0" and sizes and divisor not in sizes:
        text = "1m and 1" if kind == "cpu" else ", ".join(_SIZES)
        text = f"only divisor's values {text} are supported with the {named} resource"
        yield Cause.invalid(f"{at}.divisor", resource, text)


def validate_key_reference(reference: Obj, at: str) -> Iterator[Cause]:
    """A configMapKeyRef or secretKeyRef."""
    name, key = reference.get("name") or "", reference.get("key") or ""
    for problem in dns_subdomain(name):
        yield Cause.invalid(f"{at}.name", name, problem)
    if not key:
        yield Cause.required(f"{at}.key")
    for problem in config_key(key) if key else ():
        yield Cause.invalid(f"{at}.key", key, problem)


def validate_env_from(sources: Sequence[Obj], at: str) -> Iterator[Cause]:
    for index, source in enumerate(sources):
        here = f"{at}[{index}]"
        if prefix := source.get("prefix"):
            for problem in env_name(prefix):
                yield Cause.invalid(f"{here}.prefix", prefix, problem)
        given = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in given:
            name = source[kind].get("name") or ""
            if not name:
                yield Cause.required(f"{here}.{kind}.name")
            for problem in dns_subdomain(name) if name else ():
                yield Cause.invalid(f"{here}.{kind}.name", name, problem)
        if not given:
            yield Cause.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield Cause.invalid(at, "", "may not have more than one field specified at a time")

"""metadata of objects within objects: x-kubernetes-embedded-resource (apiextensions' schema/objectmeta)."""

from __future__ import annotations

from typing import Any

from wellhead.api import metadata as rules
from wellhead.api.custom.schemas import child, is_embedded, items, key, properties, values
from wellhead.api.errors import ApiError, Cause
from wellhead.api.formats import dns_1035_label, dns_subdomain
from wellhead.api.meta import Obj
from wellhead.api.schema import decode_metadata


def check_embedded(value: Any, schema: Obj) -> list[Cause]:
    """What is wrong with the names and metadata of embedded objects. Unknown fields of metadata go."""
    causes: list[Cause] = []
    _look(value, schema, "", causes)
    return causes


def _look(value: Any, schema: Obj, path: str, causes: list[Cause]) -> None:
    if isinstance(value, dict):
        if path and is_embedded(schema):
            _check(value, path, causes)
        known, of = properties(schema), values(schema)
        for name, item in value.items():
            if name in known:
                _look(item, known[name], child(path, name), causes)
            elif of is not None:
                _look(item, of, key(path, name), causes)
    elif isinstance(value, list) and (of := items(schema)) is not None:
        for index, item in enumerate(value):
            _look(item, of, f"{path}[{index}]", causes)


def _check(obj: Obj, path: str, causes: list[Cause]) -> None:
    version, kind = obj.get("apiVersion"), obj.get("kind")
    for name, given in (("apiVersion", version), ("kind", kind)):
        if not given:
            causes.append(Cause.required(child(path, name), "must not be empty"))
        elif not isinstance(given, str):
            causes.append(
                Cause.invalid(child(path, name), given, f"must be string, is {type(given).__name__}")
            )
    if isinstance(kind, str) and kind and dns_1035_label(kind.lower()):
        problem = "may have mixed case, but should otherwise match: " + ",".join(dns_1035_label(kind.lower()))
        causes.append(Cause.invalid(child(path, "kind"), kind, problem))
    if isinstance(version, str) and version.count("/") > 1:
        causes.append(Cause.invalid(child(path, "apiVersion"), version, "unexpected GroupVersion string"))
    sent = obj.get("metadata")
    if sent is None:
        return
    at = child(path, "metadata")
    try:
        obj["metadata"] = metadata = decode_metadata(sent)
    except ApiError as error:
        causes.append(Cause.invalid(at, sent, error.message))
        return
    if called := metadata.get("name"):
        causes += [Cause.invalid(f"{at}.name", called, problem) for problem in dns_subdomain(called)]
    causes += rules.validate_labels(metadata.get("labels"), f"{at}.labels")
    causes += rules.validate_annotations(metadata.get("annotations"), f"{at}.annotations")

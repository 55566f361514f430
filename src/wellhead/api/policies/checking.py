"""Whether a policy's expressions fit the kinds that it names: what its status warns of.

Upstream: apiserver's policy/validating/typechecking.go. Nothing here changes what the policy does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wellhead.api.cel.types import BOOL, DYN, INT, STRING, ListOf, MapOf, ObjectOf, Scalar, Type
from wellhead.api.custom.rule_types import escaped
from wellhead.api.meta import Obj
from wellhead.api.openapi import documents
from wellhead.api.policies.expressions import Expressions
from wellhead.api.resource import Resource

_MOST_KINDS = 10
_REF = "#/components/schemas/"
_STRINGS = {"byte": "bytes", "date-time": "timestamp"}


def kinds_of(spec: Obj, lookup: Callable[[str, str, str], Resource | None]) -> list[Resource]:
    """The kinds that a policy names, without a star: upstream's first ten, in order."""
    found: set[Resource] = set()
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        for group, version, plural in _named(rule):
            resource = lookup(group, version, plural)
            if resource is not None and len(found) < _MOST_KINDS:
                found.add(resource)
    return sorted(found, key=_title)


def _named(rule: Obj) -> Iterator[tuple[str, str, str]]:
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if "*" in groups or "*" in versions:
        return
    for plural in rule.get("resources") or ():
        if "*" not in plural and "/" not in plural:
            for group in groups:
                for version in versions:
                    yield group, version, plural


def _title(resource: Resource) -> str:
    group = f"{resource.group}/" if resource.group else "/"
    return f"{group}{resource.version}, Kind={resource.kind}"


def warnings(spec: Obj, types: Mapping[Resource, Type], params: Type | None) -> list[Obj]:
    """status.typeChecking.expressionWarnings."""
    found: list[Obj] = []
    checks = {_title(resource): _expressions(spec, seen, params) for resource, seen in types.items()}
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field)
            if not text:
                continue
            said = [
                f"{title}: {problem}\n" for title, each in checks.items() if (problem := each.mistake(text))
            ]
            if said:
                found.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": "\n".join(said)})
    return found


def _expressions(spec: Obj, type: Type, params: Type | None) -> Expressions:
    types = {"object": type, "oldObject": type}
    if params is not None:
        types["params"] = params
    has_params = spec.get("paramKind") is not None
    return Expressions(params=has_params, described=spec.get("variables") or (), types=types)


def type_of(resource: Resource, schema: Obj | None = None) -> Type:
    """The type of a kind's objects; `schema` is that of a custom one."""
    path = documents.group_path_of(resource)
    document = documents.openapi_v3(path, [] if schema is None else [(resource, schema)]) or {}
    schemas = document.get("components", {}).get("schemas", {})
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    for name, each in schemas.items():
        if wanted in (each.get("x-kubernetes-group-version-kind") or ()):
            return _Types(schemas).named(name)
    return DYN


class _Types:
    def __init__(self, schemas: Mapping[str, Obj]) -> None:
        self._schemas = schemas
        self._known: dict[str, Type] = {}

    def named(self, name: str) -> Type:
        if name not in self._known:
            self._known[name] = DYN  # for what contains itself
            self._known[name] = self._of(self._schemas.get(name) or {})
        return self._known[name]

    def _of(self, schema: Mapping[str, Any]) -> Type:
        for each in (schema, *(schema.get("allOf") or ())):
            if (target := each.get("$ref")) is not None:
                return self.named(target.removeprefix(_REF))
        if schema.get("x-kubernetes-int-or-string") or schema.get("nullable"):
            return DYN
        match schema.get("type"):
            case "array":
                return ListOf(self._of(schema.get("items") or {}))
            case "object":
                return self._object(schema)
            case "string":
                return Scalar(_STRINGS.get(schema.get("format") or "", "string"))
            case "boolean":
                return BOOL
            case "integer":
                return INT
        return DYN

    def _object(self, schema: Mapping[str, Any]) -> Type:
        values, known = schema.get("additionalProperties"), schema.get("properties")
        if isinstance(values, dict):
            return MapOf(self._of(values))
        if not known or schema.get("x-kubernetes-preserve-unknown-fields"):
            return DYN
        fields = {called: self._of(each) for name, each in known.items() if (called := escaped(name))}
        return ObjectOf({"apiVersion": STRING, "kind": STRING} | fields if "kind" in known else fields)

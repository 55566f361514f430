"""CustomResourceDefinitions: what one may say, in upstream's words, and which names it gets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wellhead.api import writes
from wellhead.api.custom.columns import printer_of
from wellhead.api.custom.definition import read_definition, resources_of
from wellhead.api.custom.json_path import JSONPath
from wellhead.api.errors import Invalid
from wellhead.api.kinds.customresourcedefinition.names import Taken, settled_status
from wellhead.api.meta import Obj, condition
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS
from wellhead.api.strategy import Context


def definition(schema: Obj | None = None, version: Obj | None = None, **spec: Any) -> Obj:
    root: Obj = {"type": "object", "properties": {"spec": schema or {"type": "object"}}}
    first: Obj = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    names = {"plural": "foos", "kind": "Foo"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [first | (version or {})],
            **spec,
        },
    }


def created(crd: Obj) -> Obj:
    context = Context()
    return writes.create(
        CUSTOMRESOURCEDEFINITIONS, writes.received(CUSTOMRESOURCEDEFINITIONS, crd, context), context
    )


def refused(crd: Obj) -> list[str]:
    try:
        created(crd)
    except Invalid as error:
        return [str(cause) for cause in error.causes]
    return []


def test_defaults() -> None:
    crd = created(definition())
    assert crd["spec"]["names"] == {"plural": "foos", "kind": "Foo", "singular": "foo", "listKind": "FooList"}
    assert crd["spec"]["conversion"] == {"strategy": "None"}
    assert crd["status"] == {"storedVersions": ["v1"]}
    assert crd["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("versions", "warned"),
    [
        ({"v1alpha1": True}, "example.com/v1alpha1 Foo is deprecated"),
        (
            {"v1alpha1": True, "v1beta1": False, "v1": False, "v2": True},
            "example.com/v1alpha1 Foo is deprecated; use example.com/v1 Foo",
        ),
        ({"v1alpha1": False, "v1": True}, "example.com/v1 Foo is deprecated"),
    ],
)
def test_who_uses_a_deprecated_version_is_told_of_a_newer_one(versions: dict[str, bool], warned: str) -> None:
    schema: Obj = {"openAPIV3Schema": {"type": "object"}}
    listed = [
        {"name": name, "served": True, "storage": not index, "deprecated": deprecated, "schema": schema}
        for index, (name, deprecated) in enumerate(versions.items())
    ]
    crd = read_definition(msgspec.json.encode(created(definition(versions=listed))))
    found = [each.deprecation for each in resources_of(crd, lambda _: schema).values() if each.deprecation]
    assert found[0] == warned


_AT = "spec.validation.openAPIV3Schema.properties[spec]"


@pytest.mark.parametrize(
    ("crd", "said"),
    [
        (definition(group="Example"), 'spec.group: Invalid value: "Example": '),
        (definition(group="example"), 'spec.group: Invalid value: "example": should be a domain with at least one dot'),
        (definition(group="other.com"), 'metadata.name: Invalid value: "foos.example.com": must be spec.names.plural+"."+spec.group'),
        (definition(scope="Some"), 'spec.scope: Unsupported value: "Some": supported values: "Cluster", "Namespaced"'),
        (definition(version={"storage": False}), 'spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version'),
        (definition(version={"name": "V"}), 'spec.versions[0].name: Invalid value: "V": a DNS-1035 label'),
        (definition(version={"schema": {}}), "spec.versions[0].schema.openAPIV3Schema: Required value"),
        (definition(names={"plural": "foos", "kind": "Foo", "listKind": "Foo"}), 'spec.names.listKind: Invalid value: "Foo": kind and listKind may not be the same'),
        (definition(names={"plural": "foos"}), "spec.names.kind: Required value"),
        (definition({"properties": {}}), f"{_AT}.type: Required value: must not be empty for specified object fields"),
        (definition({"type": "array"}), f"{_AT}.items: Required value: must be specified"),
        (definition({"type": "what"}), f'{_AT}.type: Unsupported value: "what": supported values: "array", "boolean"'),
        (definition({"type": "string", "pattern": "("}), f'{_AT}.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: '),
        (definition({"type": "object", "uniqueItems": True}), f"{_AT}.uniqueItems: Forbidden: uniqueItems cannot be set to true"),
        (definition({"type": "object", "anyOf": [{"type": "object"}]}), f"{_AT}.anyOf[0].type: Forbidden: must be empty to be structural"),
        (definition({"type": "object", "anyOf": [{"properties": {"a": {}}}]}), f"{_AT}.properties[a]: Required value: because it is defined in {_AT}.anyOf[0].properties[a]"),
        (definition({"type": "string", "default": 1}), f'{_AT}.default: Invalid value: "integer":  in body must be of type string: "integer"'),
        (definition({"type": "object", "default": {"a": 1}}), f'{_AT}.default: Invalid value: {{"a":1}}: must not have unknown fields'),
        (definition({"type": "object", "additionalProperties": {"type": "string"}, "properties": {"a": {"type": "string"}}}), f"{_AT}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"),
        (definition({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"}), f"{_AT}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"),
        (definition({"type": "object", "x-kubernetes-validations": [{"rule": "self.a"}]}), f"{_AT}.x-kubernetes-validations[0].rule: Invalid value: "),
        (definition({"type": "object", "x-kubernetes-validations": [{"rule": "1"}]}), "cel expression must evaluate to a bool"),
        (definition({"type": "object", "x-kubernetes-validations": [{"rule": " "}]}), "rule: Required value: rule is not specified"),
        (definition({"type": "object", "x-kubernetes-validations": [{"rule": "true", "reason": "no"}]}), 'reason: Unsupported value: "no": supported values: "FieldValueDuplicate"'),
        (definition({"type": "object", "x-kubernetes-validations": [{"rule": "true", "optionalOldSelf": True}]}), "may not be set if oldSelf is not used in rule"),
        (definition({"type": "array", "items": {"type": "object", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}), "oldSelf cannot be used on the uncorrelatable portion of the schema within"),
        (definition({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a == b))"}]}), "estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule"),
        (definition(version={"additionalPrinterColumns": [{"name": "a", "type": "x", "jsonPath": "a"}]}), 'spec.additionalPrinterColumns[0].type: Invalid value: "x": must be one of boolean,date'),
        (definition(version={"selectableFields": [{"jsonPath": ".spec.a"}]}), 'spec.selectableFields[0].jsonPath: Invalid value: ".spec.a": is an invalid path: does not refer to a valid field'),
        (definition(version={"subresources": {"scale": {"specReplicasPath": ".a", "statusReplicasPath": ".status.b"}}}), 'spec.subresources.scale.specReplicasPath: Invalid value: ".a": should be a json path under .spec'),
        (definition(version={"deprecationWarning": "x"}), 'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions'),
        (definition(conversion={"strategy": "Webhook"}), "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"),
        (definition(preserveUnknownFields=True), "spec.preserveUnknownFields: Invalid value: true: "),
        (definition(group="x.k8s.io") | {"metadata": {"name": "foos.x.k8s.io"}}, 'protected groups must have approval annotation "api-approved.kubernetes.io"'),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_in_upstreams_words(crd: Obj, said: str) -> None:
    assert any(said in each for each in refused(crd)), refused(crd)


@pytest.mark.parametrize(
    "schema",
    [
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}]},
        {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}, "x-kubernetes-validations": [{"rule": "self.all(a, self.exists_one(b, a == b))"}]},
        {"type": "number", "x-kubernetes-validations": [{"rule": "self > 1 && self < 1.5"}]},
        {"type": "string", "maxLength": 10, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
    ],
)  # fmt: skip
def test_what_is_taken(schema: Obj) -> None:
    assert refused(definition(schema)) == []


def test_what_may_not_change_once_it_is_established() -> None:
    old = created(definition())
    old["metadata"]["resourceVersion"] = "1"
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new = {**old, "spec": {**old["spec"], "scope": "Cluster"}}
    with pytest.raises(Invalid, match="field is immutable"):
        writes.update(CUSTOMRESOURCEDEFINITIONS, new, old, Context())


def test_a_version_that_was_stored_stays() -> None:
    old = created(definition())
    old["metadata"]["resourceVersion"] = "1"
    other = {**old["spec"]["versions"][0], "name": "v2"}
    added = {
        **old,
        "spec": {**old["spec"], "versions": [old["spec"]["versions"][0] | {"storage": False}, other]},
    }
    both = writes.update(CUSTOMRESOURCEDEFINITIONS, added, old, Context())
    assert both["status"]["storedVersions"] == ["v1", "v2"]
    alone = {**both, "spec": {**both["spec"], "versions": [other]}}
    with pytest.raises(Invalid, match="v1 was previously a storage version"):
        writes.update(CUSTOMRESOURCEDEFINITIONS, alone, both, Context())


def test_a_name_belongs_to_who_had_it_first() -> None:
    crd = created(definition(names={"plural": "foos", "kind": "Foo", "shortNames": ["f"]}))
    free = settled_status(crd, Taken(), "now")
    assert free["acceptedNames"]["kind"] == "Foo"
    assert [(each["type"], each["status"]) for each in free["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    taken = Taken.by([{"plural": "bars", "singular": "foo", "kind": "Bar", "shortNames": ["f"]}])
    status = settled_status(crd, taken, "now")
    entry = condition({"status": status}, "NamesAccepted")
    assert entry is not None
    assert (entry["status"], entry["reason"], entry["message"]) == (
        "False",
        "ShortNamesConflict",
        '"f" is already in use',
    )
    assert "singular" not in status["acceptedNames"]
    later = settled_status({**crd, "status": status}, Taken(), "later")
    assert later["acceptedNames"]["shortNames"] == ["f"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.replicas", [3]),
        ("{.spec.replicas}", [3]),
        (".spec['a.b']", ["dotted"]),
        (r".spec.a\.b", ["dotted"]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        ('.status.conditions[?(@.type == "Other")].status', []),
        (".status.conditions[0].type", ["Ready"]),
        (".status.conditions[-1].type", ["Done"]),
        (".status.conditions[*].type", ["Ready", "Done"]),
        (".status.conditions[0:1].type", ["Ready"]),
        (".status.conditions[?(@.count>1)].type", ["Done"]),
        (".nothing.here", []),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    conditions = [
        {"type": "Ready", "status": "True", "count": 1},
        {"type": "Done", "status": "False", "count": 2},
    ]
    obj = {"spec": {"replicas": 3, "a.b": "dotted"}, "status": {"conditions": conditions}}
    assert JSONPath(path).find(obj) == found


@pytest.mark.parametrize("path", [".a[", ".a['b", ".a[?(@.x ~ 1)]", ".a[b]", "a b"])
def test_what_is_no_json_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"un|invalid"):
        JSONPath(path)


def test_columns() -> None:
    from datetime import UTC, datetime

    printer = printer_of(
        [
            {"name": "Count", "type": "integer", "jsonPath": ".spec.count"},
            {"name": "When", "type": "date", "jsonPath": ".spec.when", "priority": 1},
            {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
            {"name": "None", "type": "string", "jsonPath": ".spec.none"},
        ]
    )
    obj = {"metadata": {"name": "x"}, "spec": {"count": 3, "when": "2020-01-01T00:00:00Z", "on": True}}
    assert printer.cells(obj, datetime(2020, 1, 3, tzinfo=UTC)) == ["x", 3, "2d", True, None]
    assert [column.definition()["priority"] for column in printer.columns] == [0, 0, 1, 0, 0]

"""Policies as values: what their expressions see, what they say, what they may cost."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.limits import DEFAULTS
from wellhead.api.managed_fields.types import type_of
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.policies.expressions import Expressions
from wellhead.api.policies.mutation import MutatingPolicy, MutationFailed, expression_problem
from wellhead.api.policies.validation import Policy

CONFIGMAP = GroupVersionKind("", "v1", "ConfigMap")


def policy(**spec: Any) -> Policy:
    return Policy({"metadata": {"name": "p"}, "spec": spec})


def seen(obj: Obj, **more: Any) -> Obj:
    return {
        "object": obj,
        "oldObject": None,
        "request": {"operation": "CREATE"},
        "namespaceObject": None,
        **more,
    }


def mutated(obj: Obj, *expressions: str, kind: str = "ApplyConfiguration") -> Obj:
    field = "applyConfiguration" if kind == "ApplyConfiguration" else "jsonPatch"
    mutations = [{"patchType": kind, field: {"expression": each}} for each in expressions]
    described = MutatingPolicy({"metadata": {"name": "m"}, "spec": {"mutations": mutations}})
    made = described.mutate(obj, seen(obj), type_of(CONFIGMAP), DEFAULTS)
    assert made is not None
    return made


def test_variables_see_those_before_them_and_are_lazy() -> None:
    described = policy(
        variables=[
            {"name": "names", "expression": "object.items.map(i, i.name)"},
            {"name": "first", "expression": "variables.names[0]"},
            {"name": "bad", "expression": "object.nothing"},
        ],
        validations=[{"expression": "variables.first == 'a'"}, {"expression": "variables.names.size() == 1"}],
    )
    findings = described.validate(seen({"items": [{"name": "a"}, {"name": "b"}]}))
    assert [(each.message, each.index) for each in findings.verdicts] == [
        ("failed expression: variables.names.size() == 1", 1)
    ]


def test_what_cant_be_evaluated_counts_as_the_policy_says() -> None:
    spec: Obj = {"validations": [{"expression": "object.nothing"}, {"expression": "true"}]}
    [verdict] = policy(**spec).validate(seen({})).verdicts
    assert verdict.message == "expression 'object.nothing' resulted in error: no such key: nothing"
    assert not policy(**spec, failurePolicy="Ignore").validate(seen({})).verdicts


def test_a_hostile_expression_is_stopped() -> None:
    numbers = "[0,1,2,3,4,5,6,7,8,9]"
    text = "true"
    for name in "abcdefg":
        text = f"{numbers}.all({name}, {text})"
    [verdict] = policy(validations=[{"expression": text}]).validate(seen({})).verdicts
    assert "cost limit" in verdict.message


def test_audit_annotations_are_strings_or_nothing() -> None:
    annotations = [
        {"key": "size", "valueExpression": "string(object.data.size())"},
        {"key": "none", "valueExpression": "null"},
        {"key": "wrong", "valueExpression": "object.data.size()"},
    ]
    findings = policy(auditAnnotations=annotations).validate(seen({"data": {"x": "1"}}))
    assert findings.annotations == {"p/size": "1"}
    [error] = findings.errors
    assert error.endswith("Return type must be either string or null.")


@pytest.mark.parametrize(
    ("text", "types", "problem"),
    [
        ("object.x", ("bool",), ""),
        ("1", ("bool",), "must evaluate to bool but got int"),
        ("true", ("string", "null_type"), "must evaluate to one of [string null_type] but got bool"),
        ("request.operation == 'CREATE'", ("bool",), ""),
        ("params.x == 1", ("bool",), "undeclared reference to 'params"),
        ("request.nothing == 'CREATE'", ("bool",), "undefined field 'nothing'"),
    ],
)
def test_expressions_are_checked(text: str, types: tuple[str, ...], problem: str) -> None:
    found = Expressions(params=False).problem(text, *types)
    assert (problem in found) if problem else not found


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        ('Object{metadata: Object.metadata{labels: {"a": "b"}}}', "ApplyConfiguration", ""),
        ("Other{}", "ApplyConfiguration", "undeclared reference to 'Other'"),
        ("[1]", "ApplyConfiguration", "must evaluate to Object"),
        ("Object{a: nobody}", "ApplyConfiguration", "undeclared reference to 'nobody'"),
        ('[JSONPatch{op: "add", path: "/a", value: object.b}]', "JSONPatch", ""),
        ('[JSONPatch{op: "add", where: "/a"}]', "JSONPatch", "undefined field 'where'"),
        ('JSONPatch{op: "add"}', "JSONPatch", "must evaluate to list(JSONPatch)"),
        ("object.items.map(i, JSONPatch{op: 'test', path: i})", "JSONPatch", ""),
        ("object.x +", "JSONPatch", "Syntax error"),
    ],
)
def test_mutations_are_checked(text: str, kind: str, problem: str) -> None:
    found = expression_problem(text, kind, params=False)
    assert (problem in found) if problem else not found


def test_each_mutation_sees_what_the_one_before_made() -> None:
    obj: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    made = mutated(obj, 'Object{data: {"y": object.data.x}}', 'Object{data: {"z": object.data.y + "!"}}')
    assert made["data"] == {"x": "1", "y": "1", "z": "1!"}
    assert obj["data"] == {"x": "1"}


def test_a_patch_may_be_empty_and_must_fit() -> None:
    obj: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    assert mutated(obj, "[]", kind="JSONPatch") == obj
    with pytest.raises(MutationFailed, match="JSON Patch: "):
        mutated(obj, '[JSONPatch{op: "remove", path: "/data/x"}]', kind="JSONPatch")
    with pytest.raises(MutationFailed, match="may not change kind"):
        mutated(obj, 'Object{kind: "Secret"}')


def test_what_is_atomic_may_not_be_changed() -> None:
    obj: Obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    text = 'Object{spec: Object.spec{containers: [Object.spec.containers{name: "a", args: ["x"]}]}}'
    mutations = [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}}]
    described = MutatingPolicy({"metadata": {"name": "m"}, "spec": {"mutations": mutations}})
    with pytest.raises(
        MutationFailed, match=r"atomic arrays, maps or structs: \.spec\.containers\[0\]\.args$"
    ):
        described.mutate(obj, seen(obj), type_of(GroupVersionKind("", "v1", "Pod")), DEFAULTS)

"""Custom objects by their schemas: what is dropped, filled in, refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.custom.lists import duplicates
from wellhead.api.custom.metadata import check_embedded
from wellhead.api.custom.rules import check_rules, compile_rules
from wellhead.api.custom.schemas import correlated
from wellhead.api.custom.strategy import CustomStrategy, SameFields
from wellhead.api.custom.validation import validate
from wellhead.api.custom.values import apply_defaults, prune
from wellhead.api.meta import Obj


def typed(type: str, **more: Any) -> Obj:
    return {"type": type, **more}


def of(**properties: Obj) -> Obj:
    return typed("object", properties=properties)


@pytest.mark.parametrize(
    ("schema", "value", "kept", "unknown"),
    [
        (of(a=typed("string")), {"a": "x", "b": 1}, {"a": "x"}, ["b"]),
        (of(a=of(b=typed("string"))), {"a": {"b": "", "c": {}}}, {"a": {"b": ""}}, ["a.c"]),
        (of(a=typed("array", items=of(b={}))), {"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, ["a[0].c"]),
        (
            of(a=typed("object", additionalProperties=of(b={}))),
            {"a": {"x": {"c": 1}}},
            {"a": {"x": {}}},
            ["a.x.c"],
        ),
        (of(a={"x-kubernetes-preserve-unknown-fields": True}), {"a": {"c": 1}}, {"a": {"c": 1}}, []),
        (
            of(a={"x-kubernetes-preserve-unknown-fields": True, "properties": {"b": of()}}),
            {"a": {"b": {"c": 1}, "d": 1}},
            {"a": {"b": {}, "d": 1}},
            ["a.b.c"],
        ),
        (
            of(a=typed("object", **{"x-kubernetes-embedded-resource": True, "properties": {"spec": of()}})),
            {"a": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": {"c": 1}}},
            {"a": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": {}}},
            ["a.spec.c"],
        ),
        (
            of(),
            {"apiVersion": "v1", "kind": "X", "metadata": {}, "x": 1},
            {"apiVersion": "v1", "kind": "X", "metadata": {}},
            ["x"],
        ),
    ],
)
def test_what_a_schema_does_not_know_goes(schema: Obj, value: Obj, kept: Obj, unknown: list[str]) -> None:
    assert prune(value, schema, resource=True) == unknown
    assert value == kept


@pytest.mark.parametrize(
    ("schema", "value", "filled"),
    [
        (of(a=typed("integer", default=1)), {}, {"a": 1}),
        (of(a=typed("integer", default=1)), {"a": None}, {"a": 1}),
        (of(a=typed("integer", default=1, nullable=True)), {"a": None}, {"a": None}),
        (of(a=typed("integer")), {"a": None}, {}),
        (of(a=of(b=typed("integer", default=1))), {}, {}),
        (of(a=of(b=typed("integer", default=1)) | {"default": {}}), {}, {"a": {"b": 1}}),
        (
            of(a=typed("array", items=of(b=typed("integer", default=1)))),
            {"a": [{}, {"b": 2}]},
            {"a": [{"b": 1}, {"b": 2}]},
        ),
        (
            of(a=typed("object", additionalProperties=of(b=typed("integer", default=1)))),
            {"a": {"x": {}}},
            {"a": {"x": {"b": 1}}},
        ),
    ],
)
def test_defaults_come_where_what_they_are_a_part_of_is(schema: Obj, value: Obj, filled: Obj) -> None:
    apply_defaults(value, schema)
    assert value == filled


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (typed("integer"), "x", 'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"'),
        (typed("string"), None, 'spec.a: Invalid value: "null": spec.a in body must be of type string: "null"'),
        (typed("string", enum=["a", "b"]), "c", 'spec.a: Unsupported value: "c": supported values: "a", "b"'),
        (typed("string", pattern="^a$"), "b", "spec.a: Invalid value: \"b\": spec.a in body should match '^a$'"),
        (typed("string", maxLength=1), "bb", "spec.a: Too long: may not be more than 1 bytes"),
        (typed("string", minLength=3), "bb", 'spec.a: Invalid value: "bb": spec.a in body should be at least 3 chars long'),
        (typed("integer", maximum=3), 4, "spec.a: Invalid value: 4: spec.a in body should be less than or equal to 3"),
        (typed("integer", minimum=3, exclusiveMinimum=True), 3, "spec.a: Invalid value: 3: spec.a in body should be greater than 3"),
        (typed("integer", multipleOf=2), 3, "spec.a: Invalid value: 3: spec.a in body should be a multiple of 2"),
        (typed("array", maxItems=1, items={}), [1, 2], "spec.a: Too many: 2: must have at most 1 item"),
        (typed("array", minItems=1, items={}), [], "spec.a: Invalid value: 0: spec.a in body should have at least 1 items"),
        (typed("array", items=typed("string")), ["a", 1], 'spec.a[1]: Invalid value: "integer": spec.a[1] in body must be of type string: "integer"'),
        (typed("object", required=["b"]), {}, "spec.a.b: Required value"),
        (typed("object", maxProperties=1), {"a": 1, "b": 2}, "spec.a: Too many: 2: must have at most 1 item"),
        (typed("string", format="date-time"), "x", 'spec.a: Invalid value: "x": spec.a in body must be of type date-time: "x"'),
        (typed("string", format="ipv4"), "::1", 'spec.a: Invalid value: "::1": spec.a in body must be of type ipv4: "::1"'),
        ({"oneOf": [{"required": ["x"]}, {"required": ["y"]}]}, {}, '<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found none valid'),
        ({"oneOf": [{}, {}]}, {}, '<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found 2 valid alternatives'),
        ({"anyOf": [{"required": ["x"]}]}, {}, '<nil>: Invalid value: "": "spec.a" must validate at least one schema (anyOf)'),
        ({"not": {}}, {}, '<nil>: Invalid value: "": "spec.a" must not validate the schema (not)'),
        ({"x-kubernetes-int-or-string": True}, True, 'spec.a: Invalid value: "boolean": spec.a in body must be of type integer,string: "boolean"'),
    ],
)  # fmt: skip
def test_what_a_value_is_not_is_said_in_upstreams_words(schema: Obj, value: Any, said: str) -> None:
    causes = validate({"spec": {"a": value}}, of(spec=of(a=schema)))
    assert said in [str(cause) for cause in causes]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (typed("integer"), 1.0),
        (typed("number"), 1),
        (typed("string", nullable=True), None),
        ({"x-kubernetes-int-or-string": True}, "50%"),
        (typed("string", format="unheard-of"), "x"),
        (typed("string", format="uuid"), "123e4567-e89b-12d3-a456-426614174000"),
        (typed("string", format="duration"), "1h30m"),
        (typed("string", format="cidr"), "10.0.0.0/8"),
        ({"allOf": [{"required": ["x"]}]}, {"x": 1}),
    ],
)
def test_what_a_value_may_be(schema: Obj, value: Any) -> None:
    assert validate({"a": value}, of(a=schema)) == []


def test_what_is_as_it_was_is_not_refused_anew() -> None:
    schema = of(a=typed("string", maxLength=1), b=typed("string"))
    assert validate({"a": "long", "b": "y"}, schema, old={"a": "long", "b": "x"}) == []
    assert len(validate({"a": "longer", "b": "y"}, schema, old={"a": "long", "b": "x"})) == 1
    items = typed("array", items=of(k={}, v=typed("string", maxLength=1)))
    listed = of(l=items | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})
    old = {"l": [{"k": 1, "v": "long"}]}
    assert validate({"l": [{"k": 2, "v": "s"}, {"k": 1, "v": "long"}]}, listed, old=old) == []
    assert len(validate({"l": [{"k": 2, "v": "long"}]}, listed, old=old)) == 1


def test_sets_and_maps_have_nothing_twice() -> None:
    names = typed("array", **{"x-kubernetes-list-type": "set", "items": typed("string")})
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "l"]}
    schema = of(names=names, ports=typed("array", items=of(k={}, l={}), **keyed))
    value = {"names": ["a", "b", "a", "a"], "ports": [{"k": 1, "l": 2}, {"k": 1}, {"l": 2, "k": 1}]}
    assert [str(cause) for cause in duplicates(value, schema)] == [
        'names[2]: Duplicate value: "a"',
        'ports[2]: Duplicate value: {"k":1,"l":2}',
    ]


def test_embedded_objects_are_objects() -> None:
    schema = of(a=typed("object", **{"x-kubernetes-embedded-resource": True}))
    found = check_embedded({"a": {"kind": "X", "metadata": {"name": "N"}}}, schema)
    assert [cause.field for cause in found] == ["a.apiVersion", "a.metadata.name"]


def rule(text: str, **more: Any) -> Obj:
    return {"rule": text, **more}


def checked(schema: Obj, value: Obj, old: Obj | None = None) -> list[str]:
    causes, _ = check_rules(compile_rules(schema), value, old)
    return [str(cause) for cause in causes]


@pytest.mark.parametrize(
    ("described", "value", "old", "said"),
    [
        (rule("self.a > 1"), {"a": 1}, None, ["s: Invalid value: failed rule: self.a > 1"]),
        (rule("self.a > 1", message="too small"), {"a": 1}, None, ["s: Invalid value: too small"]),
        (rule("self.a > 1", messageExpression="'it is ' + string(self.a)"), {"a": 1}, None, ["s: Invalid value: it is 1"]),
        (rule("self.a > 1", fieldPath=".a", reason="FieldValueForbidden", message="no"), {"a": 1}, None, ["s.a: Forbidden: no"]),
        (rule("self.a > 1", reason="FieldValueRequired", message="no"), {"a": 1}, None, ["s: Required value: no"]),
        (rule("self.a > 1"), {}, None, ['s: Invalid value: "object": no such key: a evaluating rule: self.a > 1']),
        (rule("self.a == oldSelf.a"), {"a": 1}, None, []),
        (rule("self.a == oldSelf.a"), {"a": 1}, {"a": 2}, ["s: Invalid value: failed rule: self.a == oldSelf.a"]),
        (rule("!oldSelf.hasValue()", optionalOldSelf=True), {"a": 1}, None, []),
        (rule("!oldSelf.hasValue()", optionalOldSelf=True), {"a": 1}, {"a": 1}, ["s: Invalid value: failed rule: !oldSelf.hasValue()"]),
        (rule("oldSelf.?a.orValue(1) <= self.a", optionalOldSelf=True), {"a": 1}, {"a": 1}, []),
        (rule("self.a > 1"), {"a": 1}, {"a": 1}, []),  # as it was
        (rule("self.t > timestamp('2020-01-01T00:00:00Z')"), {"t": "2021-01-01T00:00:00Z"}, None, []),
        (rule("self.in__dash__side == 'x' && self.__namespace__ == 'y'"), {"in-side": "x", "namespace": "y"}, None, []),
        (rule("self.n > 1 && self.n < 2.5"), {"n": 2}, None, []),
        (rule("self.i == 5 || self.i == '5'"), {"i": "5"}, None, []),
    ],
)  # fmt: skip
def test_rules_of_a_schema(described: Obj, value: Obj, old: Obj | None, said: list[str]) -> None:
    names = {"in-side": typed("string"), "namespace": typed("string")}
    times = {"t": typed("string", format="date-time")}
    numbers = {"a": typed("integer"), "n": typed("number"), "i": {"x-kubernetes-int-or-string": True}}
    inner = of(**names, **times, **numbers) | {"x-kubernetes-validations": [described]}
    assert checked(of(s=inner), {"s": value}, None if old is None else {"s": old}) == said


def test_rules_below_lists_and_maps_know_what_was_there() -> None:
    item = of(k=typed("string"), v=typed("integer")) | {
        "x-kubernetes-validations": [rule("self.v >= oldSelf.v", message="shrinks")]
    }
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = of(l=typed("array", items=item, **keyed), m=typed("object", additionalProperties=item))
    old = {"l": [{"k": "a", "v": 2}], "m": {"x": {"v": 2}}}
    new = {"l": [{"k": "b", "v": 0}, {"k": "a", "v": 1}], "m": {"x": {"v": 1}, "y": {"v": 0}}}
    assert checked(schema, new, old) == ["l[1]: Invalid value: shrinks", "m[x]: Invalid value: shrinks"]


def test_rules_stop_at_their_budget() -> None:
    names = typed("array", items=typed("string"))
    text = "self.l.all(a, self.l.all(b, a == b))"
    schema = of(l=names) | {"x-kubernetes-validations": [rule(text)]}
    [said] = checked(schema, {"l": ["x"] * 2000})
    assert "no further validation rules will be run due to call cost exceeds limit" in said


def test_the_root_knows_its_name() -> None:
    schema = of() | {"x-kubernetes-validations": [rule("self.metadata.name.startsWith('a')")]}
    assert checked(schema, {"metadata": {"name": "a"}}) == []
    assert checked(schema, {"metadata": {"name": "b"}})[0].startswith("<nil>: Invalid value: ")


def test_objects_with_rules_count_as_more_work() -> None:
    def effort(schema: Obj) -> int:
        made = CustomStrategy(
            "example.com/v1", "example.com/v1", {}, lambda: schema, current_from=0, converter=SameFields()
        )
        return made.effort

    assert effort(of(size=typed("integer"))) == 1
    ruled = of(size=typed("integer")) | {"x-kubernetes-validations": [rule("self.size > 0")]}
    assert effort(ruled) > 1


class _Counted(dict[str, Any]):
    """Notes how often anything is looked up in any of them."""

    looks = 0

    def get(self, *asked: Any) -> Any:
        _Counted.looks += 1
        return super().get(*asked)


def test_items_of_a_long_list_are_found_by_their_keys_at_once() -> None:
    schema = typed("array", **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"]})
    old = [_Counted(a=n % 500, b=str(n // 2), n=n) for n in range(2000)]
    new = [{"a": 0, "b": "0"}, {"a": 2}, "no map", {"a": 499, "b": "999"}]
    assert [was and was["n"] for was in correlated(schema, old, new)] == [0, None, None, 1999]
    assert _Counted.looks == 2 * len(old)
    assert [*correlated(typed("array"), old, new)] == [*correlated(schema, None, new)] == [None] * 4


def test_finalizers_that_might_be_others_are_warned_of_when_they_come() -> None:
    strategy = CustomStrategy("a.b/v1", "a.b/v1", {}, dict, current_from=0, converter=SameFields())
    old = {"metadata": {"finalizers": ["plain", "orphan"]}}
    new = {"metadata": {"finalizers": ["plain", "a.example.com", "example.com/a", "foregroundDeletion"]}}
    why = "to avoid accidental conflicts with other finalizer writers"
    dotted = (
        'metadata.finalizers: "a.example.com": prefer a domain-qualified finalizer name including a path (/)'
    )
    assert strategy.warnings(old) == [
        f'metadata.finalizers: "plain": prefer a domain-qualified finalizer name {why}'
    ]
    assert strategy.update_warnings(new, old) == [f"{dotted} {why}"]

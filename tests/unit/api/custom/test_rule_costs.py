"""What rules may cost at most: which schemas are accepted depends on it, so the numbers are upstream's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.custom.test_definitions import definition, refused
from wellhead.api.cel import CompilationError, Environment
from wellhead.api.cel.estimate import estimated_cost
from wellhead.api.cel.frame import Frame
from wellhead.api.cel.types import DYN
from wellhead.api.custom.rule_types import type_of
from wellhead.api.meta import Obj


def cost(schema: Obj, rule: str) -> int:
    known = type_of(schema)
    assert known is not None
    types = {"self": known, "oldSelf": known}
    return estimated_cost(Environment(types).compile(rule).checked, types)


def _array(of: str, most: int | None = None) -> Obj:
    return {"type": "array", "items": {"type": of}} | ({} if most is None else {"maxItems": most})


def _map(of: str, most: int | None = None) -> Obj:
    schema: Obj = {"type": "object", "additionalProperties": {"type": of}}
    return schema | ({} if most is None else {"maxProperties": most})


def _string(most: int | None = None, **more: Any) -> Obj:
    return {"type": "string", **more} | ({} if most is None else {"maxLength": most})


_LISTED: Obj = {
    "type": "object",
    "properties": {
        "names": {"type": "array", "maxItems": 10, "items": _string(20)},
        "free": {"type": "array", "items": {"type": "string"}},
    },
}


@pytest.mark.parametrize(
    ("schema", "rule", "most"),
    [
        (_array("number"), "self.all(x, true)", 4718591),
        (_array("number", 10), "self.all(x, true)", 32),
        (_array("string"), "self.all(x, true)", 3145727),
        (_array("boolean"), "self.all(x, true)", 1887437),
        (_map("number"), "self.all(x, true)", 1348169),
        (_map("string", 3), "self.all(x, true)", 11),
        (_map("boolean", 100), "self.all(x, true)", 302),
        (_string(), "self.contains('test')", 314574),
        (_string(10), "self.contains('test')", 5),
        (_string(), "self.startsWith('test')", 2),
        (_string(), "size(self + 'hello') > size('hello')", 314578),
        (_string(4), "size(self + 'hello') > size('hello')", 7),
        (_array("number"), "self[1] == 0.0", 2),
        (_array("string", 8), "self[1] == self[1]", 314577),
        (_array("number", 10), "self.all(x, self.all(y, true))", 352),
        (_array("number", 10), "self.all(x, self.all(y, self.all(z, true)))", 3552),
        (_string(), "self.matches('x')", 314574),
        (_string(50), "self.matches('x')", 22),
        (_string(), "self.matches('')", 1),
        (_string(0), "self == 'x'", 1),
        (_string(enum=["a", "bbb"]), "self == self", 3),
        # A conversion isn't charged for its text, nor a map's key for its length.
        (_string(), "duration(self) >= duration('1ms')", 4),
        (_map("string", 16), "self.all(k, k.matches('^[a-z]+$'))", 98),
        # What was made stands nowhere: what is selected from it is looked for from the top, which has no length.
        (_LISTED, "self.names.filter(n, n != '').all(n, n.contains('x'))", 194),
    ],
)
def test_what_a_rule_may_cost_is_what_upstream_says(schema: Obj, rule: str, most: int) -> None:
    assert cost(schema, rule) == most


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        (_array("number"), "self.all(x, self.all(y, true))"),
        (_LISTED, "self.free.all(a, self.free.all(b, a != b))"),
        (_string(), "lists.range(self.size()).all(i, i > 0)"),
        (_LISTED, "self.free.distinct().size() == self.free.size()"),
    ],
)
def test_what_nothing_bounds_is_above_the_limit(schema: Obj, rule: str) -> None:
    assert cost(schema, rule) > 10_000_000


def test_rules_below_what_may_be_there_any_number_of_times_count_as_often_as_it_fits() -> None:
    duration = _string() | {"x-kubernetes-validations": [{"rule": "duration(self) >= duration('1ms')"}]}
    listed = {"type": "array", "items": {"type": "object", "properties": {"every": duration}}}
    assert refused(definition(listed)) == []
    costly = _string() | {"x-kubernetes-validations": [{"rule": "self.contains('x')"}]}
    listed = {"type": "array", "items": {"type": "object", "properties": {"name": costly}}}
    assert "exceeds budget by factor of more than 100x" in " ".join(refused(definition(listed)))


def test_fields_may_differ_in_how_their_words_are_parted_alone() -> None:
    properties = {"keys_uri": {"type": "string"}, "keysUri": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": properties,
        "x-kubernetes-validations": [
            {"rule": "(has(self.keysUri) ? 1 : 0) + (has(self.keys_uri) ? 1 : 0) <= 1"}
        ],
    }
    assert refused(definition(schema)) == []


_VALUE = {"names": ["a", "b", "c"], "ports": {"x": 1, "y": 2}, "word": "some words", "deep": {"inner": 1}}


@pytest.mark.parametrize(
    ("expression", "counted"),
    [
        ("self.word == 'x'", 3),
        ("self.word in ['x', 'y']", 2),  # a list that stands in the expression costs nothing
        ("'a' in self.names", 5),
        ("self.names == ['a']", 3),
        ("type(self.word) == string", 4),
        ("has(self.word)", 1),
        ("self.ports.all(k, self.ports[k] > 0)", 17),
        ("self.ports.exists_one(k, self.ports[k] == 2)", 14),
        ("self.names.map(n, n).size() == 3", 44),
        ("self.names.filter(n, n == 'a').size() == 1", 24),
        ("self.ports.transformMap(k, v, v + 1).size() == 2", 15),
        ("self.deep.?inner.orValue(3) == 1", 4),
        ("sets.equivalent(self.names, ['a', 'b', 'c'])", 21),
        ("[4, 3, 2, 1].sort() == [1, 2, 3, 4]", 44),
        ("lists.range(4) == [0, 1, 2, 3]", 16),
        ("duration('1h') + duration('2h') == duration('3h')", 2),
        ("format.named('dns1123Label').value().validate('my-name').hasValue()", 11),
    ],
)
def test_what_an_evaluation_costs_is_what_upstream_counts(expression: str, counted: int) -> None:
    frame = Frame({"self": _VALUE}, 1_000_000)
    program = Environment({"self": DYN}).compile(expression)
    program.within(frame)
    assert frame.cost == counted


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[3, -4, 1].sortBy(n, n * n)", [1, 3, -4]),
        ("[{'n': 'b'}, {'n': 'a'}].sortBy(each, each.n).map(each, each.n)", ["a", "b"]),
        ("[].sortBy(n, n)", []),
    ],
)
def test_lists_are_sorted_by_what_is_said(expression: str, value: object) -> None:
    assert Environment({}).compile(expression).evaluate({}) == value


def test_what_has_no_order_is_not_sorted_by() -> None:
    with pytest.raises(CompilationError):
        Environment({}).compile("[[1]].sortBy(each, each)")

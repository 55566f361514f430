"""What expressions give: the language, and Kubernetes' own functions. By upstream's documentation of each."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.cel import (
    Budget,
    BudgetExceeded,
    CompilationError,
    CostExceeded,
    Environment,
    EvaluationError,
    TakesLong,
    Trial,
)
from wellhead.api.cel.functions.authorizer import Authorizer, Decision, Question
from wellhead.api.cel.functions.collections import distinct
from wellhead.api.cel.types import DYN, INT, STRING, TIMESTAMP, ListOf, MapOf, ObjectOf, Scalar, Type
from wellhead.api.cel.values import equal

_TYPES: dict[str, Type] = {
    "self": ObjectOf(
        {
            "replicas": INT,
            "names": ListOf(STRING),
            "ports": MapOf(ObjectOf({"number": INT})),
            "since": TIMESTAMP,
            "free": DYN,
            "rows": ListOf(ListOf(INT)),
            "in__dash__side": STRING,
        }
    ),
    "any": DYN,
    "numbers": ListOf(INT),
    "authorizer": Scalar("kubernetes.authorization.Authorizer"),
}
_SELF = {
    "replicas": 1,
    "names": ["a", "b"],
    "ports": {"http": {"number": 80}},
    "free": 5,
    "rows": [[1], [2]],
    "in__dash__side": "v",
}


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment(_TYPES)


def value(environment: Environment, expression: str) -> Any:
    variables = {"self": _SELF, "any": _SELF, "numbers": [1, 2, 3], "authorizer": Authorizer(_may_get)}
    return environment.compile(expression).evaluate(variables)


def _may_get(question: Question) -> Decision:
    return Decision(question.verb == "get" and question.resource == "pods", "by test")


@pytest.mark.parametrize(
    "expression",
    [
        "self.replicas + 1 == 2",
        "self.names.all(name, name.size() == 1)",
        "self.ports['http'].number == 80",
        "self.ports.exists(name, self.ports[name].number == 80)",
        "self.names.map(name, name + 'z') == ['az', 'bz']",
        "self.names.filter(name, name == 'a') == ['a']",
        "self.names.exists_one(name, name == 'a')",
        "!has(self.since)",
        "!self.?since.hasValue()",
        "self.?replicas.orValue(7) == 1",
        "any.?nothing.?here.orValue('x') == 'x'",
        "self.free > 2.5",
        "self.rows.all(row, row.sum() > 0)",
        "self.in__dash__side == 'v'",
        "1/0 == 1 || true",
        "!(false && 1/0 == 1)",
        "type(1) == int && type('') == string",
        "self == self && any != 'self'",
        "dyn(1) == dyn(1.0) && dyn(1) != dyn(true)",
        "numbers.sum() == 6 && numbers.min() == 1 && numbers.max() == 3",
        "numbers.indexOf(2) == 1 && numbers.isSorted() && numbers.lastIndexOf(9) == -1",
        "numbers.all(index, number, index < number)",
        "numbers.transformList(index, number, index * number) == [0, 2, 6]",
        "{'a': 1}.transformMap(key, number, number + 1) == {'a': 2}",
        "[[1], [2]].flatten() == [1, 2] && [3, 1].sort() == [1, 3] && lists.range(2) == [0, 1]",
        "[1, 2, 3].slice(1, 2) == [2] && [1, 1].distinct() == [1]",
        "sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])",
        "optional.of(1).optMap(x, x + 1).value() == 2",
        "[?optional.none(), ?optional.of(1)] == [1]",
        "'abc'.find('[b-c]+') == 'bc' && 'a1b2'.findAll('[0-9]') == ['1', '2']",
        "'abc'.matches('^a.c$')",
        "'a,b'.split(',').join('-') == 'a-b' && 'AbC'.lowerAscii() == 'abc'",
        "'abc'.substring(1) == 'bc' && 'abc'.charAt(0) == 'a' && ' a '.trim() == 'a'",
        "'%s has %d, %.2f %x'.format(['x', 3, 1.5, 255]) == 'x has 3, 1.50 ff'",
        "'aXbX'.replace('X', '-', 1) == 'a-bX' && strings.quote('a\"') == '\"a\\\\\"\"'",
        "url('https://u@example.com:80/a?k=1&k=2').getHost() == 'example.com:80'",
        "url('https://example.com/a?k=1&k=2').getQuery() == {'k': ['1', '2']}",
        "url('https://[::1]:80/a').getHostname() == '::1' && url('https://[::1]:80/a').getPort() == '80'",
        "isURL('/absolute') && !isURL('../x')",
        "quantity('1.5Gi').add(quantity('1')).isGreaterThan(quantity('1G'))",
        "quantity('200k').asInteger() == 200000 && !isQuantity('200K') && quantity('-1').sign() == -1",
        "ip('10.0.0.1').family() == 4 && ip('::1').isLoopback() && ip('::1') == ip('0:0::1')",
        "!isIP('::ffff:1.2.3.4') && ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('::/0').prefixLength() == 0",
        "semver('1.2.3-alpha').isLessThan(semver('1.2.3'))",
        "semver('1.10.0').compareTo(semver('1.9.0')) == 1",
        "isSemver('v1.2', true) && !isSemver('v1.2')",
        "format.dns1123Label().validate('A_b').hasValue() && format.uuid().validate('x').hasValue()",
        "format.named('dns1123Label').value().validate('ab') == optional.none()",
        "timestamp('2020-01-02T03:04:05.5Z').getFullYear() == 2020",
        "timestamp('2020-01-02T00:00:00Z') - timestamp('2020-01-01T00:00:00Z') == duration('24h')",
        "timestamp('2020-06-01T00:00:00Z').getHours('+02:00') == 2",
        "duration('90s').getMinutes() == 1 && string(duration('1.5s')) == '1.5s'",
        "int('12') + int(1.9) == 13 && double('1.5') > 1.0 && string(1.5) == '1.5' && bool('true')",
        "-7 / 2 == -3 && -7 % 2 == -1",
        "jsonpatch.escapeKey('a/b~') == 'a~1b~0'",
        "authorizer.group('').resource('pods').namespace('x').check('get').allowed()",
        "!authorizer.path('/healthz').check('get').allowed()",
        "authorizer.serviceAccount('x', 'y').group('').resource('a').check('get').reason() == 'by test'",
    ],
)
def test_is_true(environment: Environment, expression: str) -> None:
    assert value(environment, expression) is True


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("self.other", "undefined field 'other'"),
        ("self.replicas + 'x'", "found no matching overload for '_+_' applied to '(int, string)'"),
        ("other", "undeclared reference to 'other' (in container '')"),
        ("1 +", "Syntax error: mismatched input '<EOF>'"),
        ("numbers.indexOf('x')", "found no matching overload for 'indexOf'"),
        ("'x' * 100_000", "Syntax error"),
        ("(" * 100 + "1" + ")" * 100, "recursion"),
        ("'" + "x" * 100_000 + "'", "expression code point size exceeds limit"),
    ],
)
def test_what_does_not_compile_is_said_in_upstreams_words(
    environment: Environment, expression: str, said: str
) -> None:
    with pytest.raises(CompilationError) as refused:
        environment.compile(expression)
    assert said in str(refused.value)
    assert str(refused.value).startswith("compilation failed: ")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("any.nothing", "no such key: nothing"),
        ("numbers[9]", "index out of bounds: 9"),
        ("1 / (numbers[0] - 1)", "division by zero"),
        ("9223372036854775807 + numbers[0]", "integer overflow"),
        ("dyn(1) < dyn('a')", "no such overload"),
        ("'x'.matches('(')", "error parsing regexp"),
        ("quantity('x')", "quantities must match"),
        ("optional.none().value()", "optional.none() dereference"),
        ("[].max()", "max called on empty list"),
    ],
)
def test_what_has_no_value_is_said_in_upstreams_words(
    environment: Environment, expression: str, said: str
) -> None:
    with pytest.raises(EvaluationError) as failed:
        value(environment, expression)
    assert said in str(failed.value)


def test_a_regular_expression_takes_no_longer_than_its_text_is_long(environment: Environment) -> None:
    assert (
        value(environment, "('a' + 'a'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa')).matches('(a|a)*b')")
        is False
    )


def test_an_evaluation_ends_at_its_cost(environment: Environment) -> None:
    program = environment.compile("any.all(a, any.all(b, any.all(c, true)))")
    with pytest.raises(CostExceeded, match="actual cost limit exceeded"):
        program.evaluate({"any": list(range(1000))})


def test_no_error_of_cost_is_made_up_for(environment: Environment) -> None:
    program = environment.compile("any.all(a, any.all(b, true)) || true")
    with pytest.raises(CostExceeded):
        program.evaluate({"any": list(range(2000))})


def test_evaluations_share_a_budget(environment: Environment) -> None:
    program, budget = environment.compile("any.all(a, a >= 0)"), Budget(1000)
    variables = {"any": list(range(100))}
    program.evaluate(variables, budget)
    assert 0 < budget.left < 1000
    budget.left = 10
    with pytest.raises(BudgetExceeded):
        program.evaluate(variables, budget)


@pytest.mark.parametrize(
    "expression",
    [
        "'%s'.format([any])",
        "'%s'.format([[any, any]])",
        "any == any",
        "any.distinct()",
        "any.isSorted()",
        "any.sort()",
        "any.join('')",
        "any.flatten()",
        "any.indexOf('x')",
        "sets.contains(any, any)",
    ],
)
def test_no_call_does_much_for_little(environment: Environment, expression: str) -> None:
    """Also where upstream counts one for it, whatever it is about."""
    budget = Budget(1_000_000)
    environment.compile(expression).evaluate({"any": [""] * 500}, budget)
    assert budget.left <= 1_000_000 - 250
    with pytest.raises(CostExceeded):
        environment.compile(f"any.all(x, dyn({expression}) != 'x')").evaluate({"any": [""] * 5000})


def test_an_attempt_is_no_failure_of_an_expression(environment: Environment) -> None:
    program = environment.compile("any.all(x, x == '') || true")
    with pytest.raises(TakesLong):
        program.evaluate({"any": [""] * 500}, Trial(100))
    assert program.evaluate({"any": [""] * 500}, Trial(10_000)) is True


_scalars = st.one_of(st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 2.5, math.nan, "", "1"]))
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


@given(st.lists(_values, max_size=6))
def test_distinct_keeps_one_of_what_is_equal(values: list[Any]) -> None:
    kept: list[Any] = []
    for each in values:
        if not any(equal(each, other) for other in kept):
            kept.append(each)
    found = distinct(values)
    assert len(found) == len(kept)
    assert all(a is b for a, b in zip(found, kept, strict=True))

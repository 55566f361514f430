"""Texts that others write: read as Kubernetes reads them, or refused before they cost much."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.documents import Document, read_json, read_yaml
from wellhead.api.errors import ApiError, BadRequest, RequestEntityTooLarge
from wellhead.api.limits import DEFAULTS, Limits

Read = Callable[[bytes, Limits], Document]
_MOST = DEFAULTS.request_body
_LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in b"bcdefghij"
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])).filter(
        # The library leaves "0E0" without quotes, which is a number to Go.
        lambda text: not re.fullmatch(r"[-+.]*\d[\w.+-]*", text)
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('abc:{[,"\\', max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_VALUES)
def test_json_is_what_it_says(value: object) -> None:
    assert read_json(msgspec.json.encode(value), DEFAULTS) == Document(value)


@given(_VALUES)
def test_yaml_that_a_library_wrote_is_what_it_says(value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    found = read_yaml(text.encode(), DEFAULTS)
    # YAML of Go's making turns a whole number like 1e3 into an integer, as JSON then has it.
    assert msgspec.json.encode(found.value) == msgspec.json.encode(_whole(value))


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return value


@given(st.binary() | st.text("[]{},:\"\\ \n-&*a<|>!%#?'~01.e").map(str.encode))
@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_whatever_comes_is_a_value_or_an_error_of_the_client(read: Read, text: bytes) -> None:
    with contextlib.suppress(BadRequest, RequestEntityTooLarge):
        msgspec.json.encode(read(text, DEFAULTS).value)


@pytest.mark.parametrize(
    ("read", "text", "code", "bound"),
    [
        (read_yaml, _LAUGHS, 413, "body-values"),
        (read_yaml, b"[" + b"a," * (_MOST // 2) + b"]", 413, "body-values"),
        (read_yaml, b"[" * _MOST, 400, "nesting"),
        (read_yaml, b"- " * (_MOST // 2), 400, "nesting"),
        (read_yaml, b"? " * (_MOST // 2), 400, ""),
        (read_yaml, b"a: &a " + b"x" * 100_000 + b"\nb: [" + b"*a," * 1000 + b"]", 400, "request-body"),
        (read_yaml, b"a: &a [*a]", 400, ""),
        (read_yaml, b"a: &a {<<: *a}", 400, ""),
        (read_yaml, b"!!python/object:os.system x", 400, ""),
        (read_yaml, b"[.nan]", 400, ""),
        (read_yaml, b"[1e999]", 400, ""),
        (read_yaml, b"1: {~: 2}", 400, ""),
        (read_yaml, b"{[a]: 2}", 400, ""),
        (read_yaml, b"a\n---\nb", 400, ""),
        (read_json, b"[" + b"{}," * (_MOST // 3) + b"{}]", 413, "body-values"),
        (read_json, b'["' + b'","' * (_MOST // 3) + b'"]', 413, "body-values"),
        (read_json, b'{"a":' * 1000 + b"1" + b"}" * 1000, 400, "nesting"),
        (read_json, b"[" * 40_000, 400, "nesting"),
        (read_json, b'"' * _MOST, 413, "body-values"),
        (read_json, b"NaN", 400, ""),
        (read_json, b"1" * 5000, 400, ""),
        (read_json, b"1e999", 400, ""),
    ],
)
def test_hostile_texts_are_refused_at_little_cost(read: Read, text: bytes, code: int, bound: str) -> None:
    before = time.process_time()
    with pytest.raises(ApiError) as refused:
        read(text, DEFAULTS)
    assert (refused.value.code, refused.value.bound) == (code, bound)
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"\\ud800"', "\ufffd"),
        (b'"\\udc00\\ud83d\\ude00"', "\ufffd\U0001f600"),
        (b'"\\\\ud800 \\ud800"', "\\ud800 \ufffd"),
        (b'"a\xffb"', "a\ufffdb"),
        (b'{"a": "\xff", "b": "\\udfff"}', {"a": "\ufffd", "b": "\ufffd"}),
    ],
)
def test_what_is_no_character_is_replaced_as_go_does(text: bytes, value: object) -> None:
    assert read_json(text, DEFAULTS) == Document(value)


def test_yaml_is_read_as_go_reads_it() -> None:
    text = b"""
    base: &base {x: 1, y: 2}
    merged: {<<: *base, y: 3}
    again: *base
    numbers: [0x10, 010, 0b11, 1_000, 1e3, 1.5, .5, +1, -0]
    words: [~, yes, off, True, 'yes', 2020-01-01, 1:30, !!str 1, y]
    1: one
    true: yes
    """
    assert read_yaml(text, DEFAULTS) == Document(
        {
            "base": {"x": 1, "y": 2},
            "merged": {"x": 1, "y": 3},
            "again": {"x": 1, "y": 2},
            "numbers": [16, 8, 3, 1000, 1000, 1.5, 0.5, 1, 0],
            "words": [None, True, False, True, "yes", "2020-01-01", "1:30", "1", "y"],
            "1": "one",
            "true": True,
        }
    )


def test_keys_that_are_there_twice_are_told_of_and_the_last_one_counts() -> None:
    json = read_json(b'{"a":{"b":1,"b":2},"l":[{"x":1,"x":1}],"a":{"c":1}}', DEFAULTS)
    assert json.value == {"a": {"c": 1}, "l": [{"x": 1}]}
    assert sorted(json.complaints) == [
        'duplicate field "a"',
        'duplicate field "a.b"',
        'duplicate field "l[0].x"',
    ]
    yaml = read_yaml(b"a: 1\nb: {c: 1, c: 2}\na: 2", DEFAULTS)
    assert yaml.value == {"a": 2, "b": {"c": 2}}
    assert yaml.complaints == (
        'yaml: unmarshal errors:\n  line 2: key "c" already set in map\n  line 3: key "a" already set in map',
    )

"""What is wrong with a text, as upstream's server answered it."""

from __future__ import annotations

import pytest

from wellhead.api.documents import Unreadable, read_json, read_yaml
from wellhead.api.limits import DEFAULTS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "unexpected end of JSON input"),
        ('{"a":"b', "unexpected end of JSON input"),
        ('{"a":1, ', "unexpected end of JSON input"),
        ('{"a":}', "invalid character '}' looking for beginning of value"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ('{"a":"x"} x', "invalid character 'x' after top-level value"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ('{"[":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ('{"a":"\\q"}', "invalid character 'q' in string escape code"),
        ('{"a":"\n"}', "invalid character '\\n' in string literal"),
    ],
)
def test_json(text: str, problem: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_json(text.encode(), DEFAULTS)
    assert refused.value.problem == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("a: [", "yaml: line 1: did not find expected node content"),
        ("\ta: 1", "yaml: found character that cannot start any token"),
    ],
)
def test_yaml(text: str, problem: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_yaml(text.encode(), DEFAULTS)
    assert refused.value.problem == problem

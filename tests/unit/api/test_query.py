import pytest

from wellhead.api.query import is_true
from wellhead.apiserver.info import request_info


@pytest.mark.parametrize("value", ["true", "True", "1", "yes", "t", "", "no"])
def test_anything_but_false_and_zero_is_true(value: str) -> None:
    assert is_true({"watch": value}, "watch")
    assert request_info("GET", "/api/v1/pods", {"watch": value}).verb == "watch"


@pytest.mark.parametrize("query", [{}, {"watch": "false"}, {"watch": "False"}, {"watch": "0"}])
def test_false_zero_and_nothing_are_false(query: dict[str, str]) -> None:
    assert not is_true(query, "watch")
    assert request_info("GET", "/api/v1/pods", query).verb == "list"

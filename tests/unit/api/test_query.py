import pytest

from wellhead.api.errors import MethodNotAllowed, NotFound
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


@pytest.mark.parametrize(
    ("path", "namespace", "name"),
    [
        ("/api/v1/watch/pods", "", ""),
        ("/api/v1/watch/namespaces/a/pods", "a", ""),
        ("/api/v1/watch/namespaces/a/pods/b", "a", "b"),
        ("/apis/apps/v1/watch/namespaces/a/deployments", "a", ""),
        ("/api/v1/watch/namespaces", "", ""),
    ],
)
def test_a_watch_by_its_older_path(path: str, namespace: str, name: str) -> None:
    info = request_info("GET", path, {})
    assert (info.verb, info.namespace, info.name) == ("watch", namespace, name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/watch/pods"),
        ("GET", "/api/v1/watch/namespaces/a/pods/b/log"),
        ("GET", "/api/v1/watch"),
    ],
)
def test_nothing_else_by_that_path(method: str, path: str) -> None:
    missing = request_info(method, path, {}).missing
    assert isinstance(missing, MethodNotAllowed if method == "POST" else NotFound)


@pytest.mark.parametrize("path", ["/api/v1/nothings", "/apis/none/v1/namespaces/a/nothings/b"])
def test_what_is_not_there_has_a_name_to_ask_for(path: str) -> None:
    info = request_info("GET", path, {})
    assert isinstance(info.missing, NotFound)
    assert info.resource is not None
    assert info.resource.plural == "nothings"

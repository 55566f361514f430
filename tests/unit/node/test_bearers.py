"""Who has a token in place of a certificate may measure, if the API server says so."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.client.rest import Client, ConnectionLost
from wellhead.node.server.bearers import Bearers, required

GROUPS = ["system:serviceaccounts"]


class Api:
    """Knows the token `good`, of somebody who may get nodes/metrics."""

    def __init__(self) -> None:
        self.asked: list[Obj] = []
        self.away = False

    async def create(self, resource: Resource, obj: Obj) -> Obj:
        if self.away:
            raise ConnectionLost("gone")
        self.asked.append(obj)
        assert obj["metadata"] == {}  # which a client looks into
        spec = obj["spec"]
        if resource.kind == "TokenReview":
            user = {"username": "u", "groups": GROUPS}
            return {"status": {"authenticated": spec["token"] == "good", "user": user}}
        return {"status": {"allowed": spec["resourceAttributes"]["subresource"] == "metrics"}}


def asking(path: str, token: str = "good") -> web.Request:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return make_mocked_request("GET", path, headers=headers)


async def test_a_token_is_asked_about_once_in_a_while() -> None:
    api = Api()
    bearers = Bearers(cast(Client, cast(Any, api)), "node-1")
    for _ in range(3):
        await bearers.admit(asking("/metrics/resource"))
    review, access = api.asked
    assert review["spec"] == {"token": "good"}
    assert access["spec"]["groups"] == GROUPS
    assert access["spec"]["resourceAttributes"]["name"] == "node-1"


@pytest.mark.parametrize(
    ("path", "token", "error"),
    [
        ("/metrics/resource", "bad", web.HTTPUnauthorized),
        ("/metrics/resource", "", web.HTTPUnauthorized),
        ("/stats/summary", "good", web.HTTPForbidden),
        ("/pods", "good", web.HTTPForbidden),
        ("/exec/a/b/c", "good", web.HTTPForbidden),
        ("/healthz", "", web.HTTPUnauthorized),
    ],
)
async def test_nothing_is_open_but_what_the_api_server_allows(
    path: str, token: str, error: type[web.HTTPException]
) -> None:
    with pytest.raises(error):
        await Bearers(cast(Client, cast(Any, Api())), "node-1").admit(asking(path, token))


@pytest.mark.parametrize(
    ("method", "path", "verb", "parts"),
    [
        ("GET", "/metrics", "get", ("metrics",)),
        ("GET", "/metrics/cadvisor", "get", ("metrics",)),
        ("GET", "/stats/summary", "get", ("stats",)),
        ("GET", "/logs/", "get", ("log",)),
        ("GET", "/pods", "get", ("pods", "proxy")),
        ("GET", "/runningpods/", "get", ("pods", "proxy")),
        ("GET", "/healthz/disk", "get", ("healthz", "proxy")),
        ("GET", "/configz", "get", ("configz", "proxy")),
        ("GET", "/containerLogs/a/b/c", "get", ("proxy",)),
        ("GET", "/metricsx", "get", ("proxy",)),
        ("POST", "/exec/a/b/c", "create", ("proxy",)),
        ("GET", "/exec/a/b/c", "create", ("proxy",)),
        ("GET", "/attach/a/b/c", "create", ("proxy",)),
        ("GET", "/portForward/a/b", "create", ("proxy",)),
    ],
)
def test_what_one_must_be_allowed(method: str, path: str, verb: str, parts: tuple[str, ...]) -> None:
    assert required(method, path) == (verb, parts)


async def test_who_has_another_certificate_is_asked_about_by_its_name() -> None:
    api = Api()
    bearers = Bearers(cast(Client, cast(Any, api)), "node-1")
    for _ in range(2):
        await bearers.admit_user(asking("/metrics", ""), "prometheus", ["monitoring"])
    [access] = api.asked
    assert access["spec"]["user"] == "prometheus"
    assert access["spec"]["groups"] == ["monitoring", "system:authenticated"]
    with pytest.raises(web.HTTPForbidden) as refused:
        await bearers.admit_user(asking("/pods", ""), "prometheus", ["monitoring"])
    assert refused.value.text == (
        "Forbidden (user=prometheus, verb=get, resource=nodes, subresource(s)=[pods proxy])"
    )


async def test_nobody_is_admitted_while_the_api_server_is_away() -> None:
    api = Api()
    api.away = True
    with pytest.raises(web.HTTPServiceUnavailable):
        await Bearers(cast(Client, cast(Any, api)), "node-1").admit(asking("/metrics/resource"))

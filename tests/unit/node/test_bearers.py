"""Who has a token in place of a certificate may measure, if the API server says so."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.client.rest import Client, ConnectionLost
from wellhead.node.server.bearers import Bearers

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
        ("/pods", "good", web.HTTPUnauthorized),
        ("/exec/a/b/c", "good", web.HTTPUnauthorized),
        ("/healthz", "", web.HTTPUnauthorized),
    ],
)
async def test_nothing_else_is_open_to_tokens(path: str, token: str, error: type[web.HTTPException]) -> None:
    with pytest.raises(error):
        await Bearers(cast(Client, cast(Any, Api())), "node-1").admit(asking(path, token))


async def test_nobody_is_admitted_while_the_api_server_is_away() -> None:
    api = Api()
    api.away = True
    with pytest.raises(web.HTTPServiceUnavailable):
        await Bearers(cast(Client, cast(Any, api)), "node-1").admit(asking("/metrics/resource"))

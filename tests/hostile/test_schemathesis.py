"""schemathesis makes up requests from our own OpenAPI documents; no answer says that the server failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.hostile.corpus import PODS, SERVICES, pod
from tests.hostile.effort import MUCH
from tests.hostile.server import Server, request, serve

_BUDGET = 4_000
"""Requests for all operations of a version together: minutes."""
_FEW = 40


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("version", ["v2", "v3"] if MUCH else ["v2"])
def test_no_request_of_schemathesis_makes_the_server_fail(tmp_path: Path, version: str) -> None:
    from tests.hostile import making_up  # half a second, which only who runs this test should pay

    with serve(tmp_path) as server:
        _prepare(server)
        every = making_up.operations(_documents(server, version))
        choices = every if MUCH else every[:: len(every) // _FEW]
        budget = _BUDGET if MUCH else 2 * len(choices)
        run = making_up.ask(server, tmp_path / "admin", budget, choices)
    assert not run.failures, "\n".join(run.failures)
    assert run.requests <= budget
    assert run.visited == {operation.label for operation in choices}


def _documents(server: Server, version: str) -> list[dict[str, Any]]:
    if version == "v2":
        return [_get(server, "/openapi/v2")]
    paths = _get(server, "/openapi/v3")["paths"].values()
    return [_get(server, path["serverRelativeURL"]) for path in paths]


def _get(server: Server, path: str) -> dict[str, Any]:
    with server.connection() as connection:
        code, body = connection.ask(request("GET", path))
    assert code == 200, body
    return msgspec.json.decode(body, type=dict[str, Any])


def _prepare(server: Server) -> None:
    named = {"metadata": {"name": "a"}}
    objects = {
        "/api/v1/namespaces/default/serviceaccounts": {"metadata": {"name": "default"}},
        PODS: pod("a"),
        SERVICES: {**named, "spec": {"ports": [{"port": 80}]}},
        "/api/v1/namespaces/default/configmaps": named,
        "/api/v1/namespaces/default/secrets": named,
        "/api/v1/nodes": named,
        "/api/v1/namespaces": named,
        "/apis/coordination.k8s.io/v1/namespaces/default/leases": named,
    }
    with server.connection() as connection:
        for path, obj in objects.items():
            code, body = connection.ask(request("POST", path, obj))
            assert code == 201, body

"""What a proxy says of itself and of its Services' endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from wellhead.proxy.health import ProxyHealth
from wellhead.proxy.health_ports import check_response
from wellhead.proxy.metrics import Metrics
from wellhead.proxy.servers import health_app, operator_app
from wellhead.services.names import ServiceKey

WEB = ServiceKey("default", "web")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_a_proxy_is_stale_when_its_oldest_change_has_waited_too_long() -> None:
    clock = Clock()
    health = ProxyHealth(60, clock)
    clock.advance(3600)
    assert health.fresh, "nothing to do is no fault"
    health.queued()
    clock.advance(40)
    health.queued()
    clock.advance(19)
    assert health.fresh
    clock.advance(1)
    assert not health.fresh
    health.synced()
    assert health.fresh


@pytest.mark.parametrize(
    ("waits", "eligible", "healthz", "livez"),
    [(False, True, 200, 200), (False, False, 503, 200), (True, True, 503, 503)],
)
async def test_healthz_and_livez(waits: bool, eligible: bool, healthz: int, livez: int) -> None:
    clock = Clock()
    health = ProxyHealth(60, clock)
    health.synced()
    health.node_eligible = eligible
    if waits:
        health.queued()
        clock.advance(61)
    async with _client(health_app(health, Metrics())) as client:
        async with client.get("/healthz") as answer:
            assert answer.status == healthz
            body = await answer.json()
            assert body["nodeEligible"] is eligible
            assert (body["lastUpdated"] == body["currentTime"]) is not waits
            assert body["lastUpdated"].startswith("2024-01-01 00:00:00")
        async with client.get("/livez") as answer:
            assert answer.status == livez
            assert "nodeEligible" not in await answer.json()


async def test_proxy_mode_is_the_modes_name_and_nothing_else() -> None:
    async with _client(operator_app("iptables", Metrics(), {"mode": "iptables"})) as client:
        async with client.get("/proxyMode") as answer:
            assert await answer.text() == "iptables"
        async with client.get("/metrics") as answer:
            assert "# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram" in await answer.text()


def _client(app: web.Application) -> TestClient[web.Request, web.Application]:
    return TestClient(TestServer(app))


def test_a_health_check_passes_with_endpoints_and_fresh_rules() -> None:
    answer = check_response(WEB, 1, True, "*/*")
    assert (answer.status, answer.text) == (200, "1 Service Endpoints found\n")
    assert answer.headers["X-Load-Balancing-Endpoint-Weight"] == "1"


@pytest.mark.parametrize(("count", "fresh"), [(0, True), (2, False)])
def test_a_health_check_fails_without_endpoints_or_with_stale_rules(count: int, fresh: bool) -> None:
    answer = check_response(WEB, count, fresh, "")
    assert (answer.status, answer.text) == (503, "No Service Endpoints Found\n")


def test_a_health_check_speaks_json_when_asked() -> None:
    answer = check_response(WEB, 0, True, "application/json")
    assert answer.status == 503
    assert isinstance(answer.body, bytes)
    assert msgspec.json.decode(answer.body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 0,
        "serviceProxyHealthy": True,
    }

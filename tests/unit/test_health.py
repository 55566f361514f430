"""Health looks at the work: what has been unfinished for too long, since when, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from hypothesis import given
from hypothesis import strategies as st

from wellhead.health import Check, Health, Overdue, together
from wellhead.health_server import Stuck, application, serving, until_stuck


def test_something_unfinished_is_a_problem_once_it_takes_too_long() -> None:
    work = Overdue("busy with default/web", 30)
    work.begin(100)
    work.begin(120, "the server hangs")
    assert work.problem(130) == ""
    assert work.problem(131) == "busy with default/web for 31 s: the server hangs"


def test_what_is_finished_in_the_end_is_healthy_again_and_its_reason_forgotten() -> None:
    work = Overdue("busy", 30)
    work.begin(0, "an old reason")
    work.end()
    assert work.problem(1000) == ""
    work.begin(1000)
    assert work.problem(1100) == "busy for 100 s"


@given(bound=st.floats(0, 1e6), began=st.floats(0, 1e6), later=st.floats(0, 1e6))
def test_only_what_takes_longer_than_its_bound_is_a_problem(bound: float, began: float, later: float) -> None:
    work = Overdue("busy", bound)
    work.begin(began)
    assert bool(work.problem(began + later)) == (began + later - began > bound)


def test_many_problems_are_told_as_a_few() -> None:
    assert together(["", ""]) == ""
    assert together(["a", "", "b"]) == "a; b"
    assert together("abcde") == "a; b; c; and 2 more"


def _health() -> Health:
    return Health(
        lambda: [
            Check("watches", lambda now: "no watch of pods" if now > 10 else ""),
            Check("worker", lambda now: "busy" if now > 20 else "", mortal=True),
        ]
    )


def test_only_what_a_restart_would_mend_counts_for_life() -> None:
    health = _health()
    for endpoint, at_0, at_15, at_25 in (
        ("livez", True, True, False),
        ("readyz", True, False, False),
        ("healthz", True, False, False),
    ):
        found = [health.answer(now, endpoint) for now in (0, 15, 25)]
        assert [each and each.ok for each in found] == [at_0, at_15, at_25], endpoint


def test_a_failure_shows_each_check_and_why() -> None:
    found = _health().answer(15, "readyz")
    assert found is not None
    assert found.text == (
        "[+]ping ok\n[-]watches failed: no watch of pods\n[+]worker ok\nreadyz check failed\n"
    )
    verbose = _health().answer(0, "livez", verbose=True)
    assert verbose is not None
    assert verbose.text == "[+]ping ok\n[+]worker ok\nlivez check passed\n"


def test_one_check_can_be_asked_for_and_others_left_out() -> None:
    health = _health()
    one = health.answer(15, "readyz", "watches")
    assert one is not None
    assert not one.ok
    assert one.text == "internal server error: watches failed: no watch of pods"
    assert health.answer(15, "readyz", "nonsense") is None
    left_out = health.answer(15, "readyz", exclude=["watches"])
    assert left_out is not None
    assert left_out.ok


Asker = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Asker]:
    work = Overdue("busy with default/web", 30)
    work.begin(asyncio.get_running_loop().time() - 31)
    health = Health(lambda: [Check("worker", work.problem, mortal=True)])
    async with TestClient(TestServer(application(health))) as found:
        yield found


async def test_the_endpoints_answer_500_and_say_why(client: Asker) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/livez/worker", "/livez?verbose"):
        async with client.get(path) as response:
            assert response.status == 500
            assert "busy with default/web for 31 s" in await response.text()
    async with client.get("/livez/nonsense") as response:
        assert response.status == 404
    async with client.get("/livez?exclude=worker") as response:
        assert (response.status, await response.text()) == (200, "ok")


async def test_metrics_tell_each_check(client: Asker) -> None:
    async with client.get("/metrics") as response:
        text = await response.text()
    assert 'kubernetes_healthcheck{name="worker",type="livez"} 0.0' in text
    assert "process_resident_memory_bytes" in text


async def test_a_component_that_is_stuck_for_good_ends_and_says_with_what() -> None:
    loop = asyncio.get_running_loop()
    work = Overdue("busy with default/web", 60)
    work.begin(began := loop.time())
    with pytest.raises(Stuck, match="worker: busy with default/web"):
        await until_stuck(Health(lambda: [Check("worker", work.problem, mortal=True)]))
    assert 300 <= loop.time() - began <= 400


async def test_one_that_gets_on_again_does_not_end_nor_does_one_without_a_server() -> None:
    work = Overdue("busy", 60)
    work.begin(asyncio.get_running_loop().time())
    asyncio.get_running_loop().call_later(300, work.end)
    checks = [Check("worker", work.problem, mortal=True), Check("watches", lambda now: "no server")]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await until_stuck(Health(lambda: checks))


async def test_a_stuck_component_s_work_is_cancelled_and_ends_anyway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr("wellhead.health_server.end_anyway", lambda: ended.append(True))
    stuck = Health(lambda: [Check("worker", lambda now: "busy", mortal=True)])
    with pytest.raises(ExceptionGroup) as raised:
        async with serving(stuck, None):
            await asyncio.Event().wait()
    assert raised.group_contains(Stuck)
    assert ended == [True]


async def test_what_is_served_ends_with_the_block() -> None:
    port = unused_port()
    async with aiohttp.ClientSession() as session:
        async with (
            serving(Health(list), ("127.0.0.1", port)),
            session.get(f"http://127.0.0.1:{port}/healthz") as response,
        ):
            assert (response.status, await response.text()) == (200, "ok")
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/healthz")

"""Health checks: what takes a node out, brings it in, and counts as dead."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Address

import aiohttp
import pytest
from aiohttp import web

from tests.patience import PATIENCE, pass_time, settled
from wellhead.cloud import health
from wellhead.cloud.health import Check, HealthMonitor, Outcome, Settings, State, ask
from wellhead.ip import IPAddress

ONE, TWO = IPv4Address("10.240.0.11"), IPv4Address("10.240.0.12")


class Recorder:
    """Remembers what the monitor says."""

    def __init__(self) -> None:
        self.changes: list[tuple[Check, bool | None]] = []
        self.dead: list[IPAddress] = []
        self.news = asyncio.Event()

    def health_changed(self, check: Check, state: State) -> None:
        self.changes.append((check, state.passing))
        self.news.set()

    def node_died(self, node: IPAddress) -> None:
        self.dead.append(node)
        self.news.set()

    async def next(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.news.wait()
        self.news.clear()


class Answers(dict[Check, Outcome]):
    """What each check will come to. One that isn't here passes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Check] = []

    async def ask(self, _: object, check: Check) -> tuple[Outcome, str]:
        self.asked.append(check)
        await asyncio.sleep(0)
        return self.get(check, Outcome.PASSED), "so"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    monkeypatch.setattr(health, "ask", answers.ask)
    return answers


@contextlib.asynccontextmanager
async def running(monitor: HealthMonitor) -> AsyncIterator[None]:
    task = asyncio.ensure_future(monitor.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_the_first_answer_decides() -> None:
    state = State()
    assert state.record(Outcome.FAILED, "503", 2)
    assert state.passing is False
    assert State().record(Outcome.PASSED, "200", 2)


def test_one_failure_is_forgiven_and_two_take_the_node_out() -> None:
    state = State()
    state.record(Outcome.PASSED, "200", 2)
    assert not state.record(Outcome.FAILED, "503", 2)
    assert not state.record(Outcome.PASSED, "200", 2)
    assert not state.record(Outcome.UNREACHABLE, "no answer", 2)
    assert state.passing
    assert state.record(Outcome.FAILED, "503", 2)
    assert state.passing is False


def test_one_success_brings_it_back() -> None:
    state = State(passing=False, failures=7)
    assert state.record(Outcome.PASSED, "200", 2)
    assert state.passing
    assert state.failures == 0


async def test_a_new_check_is_answered_at_once(answers: Answers) -> None:
    recorder = Recorder()
    monitor = HealthMonitor(recorder, Settings(interval=60))
    monitor.set_nodes(frozenset({ONE, TWO}))
    async with running(monitor):
        await asyncio.sleep(0)
        monitor.watch(10256)
        assert not monitor.state(Check(ONE, 10256)).passing
        assert await monitor.settled(5)
        assert monitor.state(Check(ONE, 10256)).passing
        assert sorted(recorder.changes) == [(Check(ONE, 10256), True), (Check(TWO, 10256), True)]


async def test_a_check_is_shared_and_ends_with_its_last_user(answers: Answers) -> None:
    monitor = HealthMonitor(Recorder(), Settings())
    monitor.set_nodes(frozenset({ONE}))
    monitor.watch(30001)
    monitor.watch(30001)
    async with running(monitor):
        await monitor.settled(5)
        assert monitor.states().keys() == {Check(ONE, 30001)}
        monitor.unwatch(30001)
        assert monitor.states().keys() == {Check(ONE, 30001)}
        monitor.unwatch(30001)
        assert not monitor.states()
        await settled()
        asked = len(answers.asked)
        await pass_time(60)
        assert len(answers.asked) == asked


async def test_a_node_is_dead_when_no_port_answers_and_only_once(answers: Answers) -> None:
    recorder = Recorder()
    monitor = HealthMonitor(recorder, Settings())
    monitor.set_nodes(frozenset({ONE, TWO}))
    monitor.watch(10256)
    monitor.watch(30001)
    async with running(monitor):
        await monitor.settled(5)
        answers[Check(ONE, 10256)] = answers[Check(TWO, 10256)] = answers[Check(TWO, 30001)] = (
            Outcome.UNREACHABLE
        )
        while not recorder.dead:
            await recorder.next()
        await pass_time(60)
        assert recorder.dead == [TWO]
        answers.clear()
        while (Check(TWO, 30001), True) not in recorder.changes[4:]:
            await recorder.next()
        answers[Check(TWO, 10256)] = answers[Check(TWO, 30001)] = Outcome.UNREACHABLE
        while len(recorder.dead) == 1:
            await recorder.next()


async def test_a_node_that_refuses_is_out_and_not_dead(answers: Answers) -> None:
    recorder = Recorder()
    monitor = HealthMonitor(recorder, Settings())
    monitor.set_nodes(frozenset({ONE}))
    monitor.watch(10256)
    async with running(monitor):
        await monitor.settled(5)
        answers[Check(ONE, 10256)] = Outcome.FAILED
        while (Check(ONE, 10256), False) not in recorder.changes:
            await recorder.next()
        await pass_time(60)
        assert recorder.dead == []


async def test_a_node_that_goes_is_asked_no_more(answers: Answers) -> None:
    monitor = HealthMonitor(Recorder(), Settings())
    monitor.watch(10256)
    monitor.set_nodes(frozenset({ONE}))
    async with running(monitor):
        await monitor.settled(5)
        monitor.set_nodes(frozenset())
        assert await monitor.settled(0.1)
        assert not monitor.state(Check(ONE, 10256)).passing


async def _served(handler: object) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_get("/healthz", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


LOCAL = IPv4Address("127.0.0.1")


async def test_real_answers() -> None:
    async def well(_: web.Request) -> web.Response:
        return web.Response(text="1 Service Endpoints found")

    async def unwell(_: web.Request) -> web.Response:
        return web.Response(status=503, text="No Service Endpoints Found\n")

    async def moved(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/"})

    async with aiohttp.ClientSession() as session:
        for handler, expected in (
            (well, (Outcome.PASSED, "200")),
            (unwell, (Outcome.FAILED, "503: No Service Endpoints Found")),
            (moved, (Outcome.FAILED, "302")),
        ):
            runner, port = await _served(handler)
            assert await ask(session, Check(LOCAL, port)) == expected
            await runner.cleanup()
        assert await ask(session, Check(LOCAL, port)) == (Outcome.FAILED, "Connection refused")


async def test_a_port_that_accepts_and_says_nothing_is_a_failure_of_a_living_node() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        limits = aiohttp.ClientTimeout(total=None, sock_connect=0.2, sock_read=0.2)
        async with aiohttp.ClientSession(timeout=limits) as session:
            outcome = await ask(session, Check(LOCAL, listener.getsockname()[1]))
    assert outcome == (Outcome.FAILED, "connected, but no response")

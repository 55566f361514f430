"""When a probe's result counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from wellhead.node.pods.http_actions import UnknownPort, port_number
from wellhead.node.pods.outcome import Outcome
from wellhead.node.pods.probing import watch


async def _watch(results: Iterable[bool], ran: float = 0.0, **spec: Any) -> tuple[list[bool], list[str]]:
    """What is reported while probes end like `results`."""
    left = list(results)
    done = asyncio.Event()

    async def once() -> Outcome:
        if not left:
            done.set()
            await asyncio.Event().wait()
        ok = left.pop(0)
        return Outcome(ok, "" if ok else "no")

    reports: list[bool] = []
    failures: list[str] = []

    def said(outcome: Outcome) -> None:
        failures.append(outcome.message)

    async def report(ok: bool) -> None:
        reports.append(ok)

    task = asyncio.ensure_future(watch(once, {"periodSeconds": 0.001, **spec}, report, said, ran=ran))
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return reports, failures


async def test_one_success_and_three_failures_count_by_default() -> None:
    reports, failures = await _watch([False, True, False, False, False])
    assert reports == [True, False]
    assert failures == ["no"] * 4


async def test_thresholds_are_the_specs() -> None:
    reports, _ = await _watch([True, True, False], successThreshold=2, failureThreshold=1)
    assert reports == [True, False]


async def test_a_delay_counts_from_the_containers_start_whoever_looked_after_it() -> None:
    reports, _ = await _watch([True], ran=1e6, initialDelaySeconds=1e6)
    assert reports == [True]


def test_a_port_is_a_number_or_the_name_of_one() -> None:
    container = {"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}
    assert port_number(80, container) == port_number("80", container) == 80
    assert port_number("http", container) == 8080
    with pytest.raises(UnknownPort, match="couldn't find port: grpc in main"):
        port_number("grpc", container)

"""What `wellhead status` makes of a component's answer."""

from __future__ import annotations

import os

import pytest

from wellhead import ports
from wellhead.health import Check, Health
from wellhead.lab import component_health


def test_an_unhealthy_component_s_reasons_are_shown_without_what_passes() -> None:
    health = Health(
        lambda: [
            Check("watches", lambda _: "no watch of pods for 30 s: connection refused"),
            Check("queue", lambda _: ""),
        ]
    )
    answer = health.answer(0, "healthz")
    assert answer is not None
    expected = "watches failed: no watch of pods for 30 s: connection refused"
    assert component_health.reason(500, answer.text) == expected
    assert component_health.reason(200, "ok") == ""
    stale = component_health.reason(503, '{"lastUpdated": "…"}')
    assert stale == 'its /healthz answers 503: {"lastUpdated": "…"}'


def test_one_that_does_not_answer_is_unhealthy_unless_it_has_just_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ports.HEALTH, "scheduler", 1)
    assert component_health.ask(os.getpid(), "scheduler", age=3) == ""
    told = component_health.ask(os.getpid(), "scheduler", age=30)
    assert told.startswith("its /healthz doesn't answer: ")
    assert "refused" in told


def test_the_api_server_is_asked_otherwise() -> None:
    assert component_health.ask(os.getpid(), "apiserver", age=30) == ""

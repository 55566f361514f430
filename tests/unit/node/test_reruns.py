"""Whether a container is started again, and when."""

from __future__ import annotations

from itertools import accumulate, repeat
from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import reruns
from wellhead.node.pods.record import Attempt, ContainerRecord


def ended(exit_code: int, **more: Any) -> Attempt:
    return Attempt("id", 0, "busybox", "sha256:0", True, finished_at="x", exit_code=exit_code, **more)


@pytest.mark.parametrize(
    ("policy", "exit_code", "again"),
    [("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_the_policy_decides_after_the_first_run(policy: str, exit_code: int, again: bool) -> None:
    container = pods.container("main")
    assert reruns.is_wanted(None, container, policy)
    assert reruns.is_wanted(ended(exit_code), container, policy) == again
    assert reruns.is_wanted(ended(exit_code, replaced=True), container, policy)


@pytest.mark.parametrize("action", ["Restart", "RestartAllContainers"])
def test_a_rule_about_the_exit_code_wins_unless_nobody_saw_the_code(action: str) -> None:
    rule = {"action": action, "exitCodes": {"operator": "In", "values": [42]}}
    container = pods.container("main", restartPolicyRules=[rule])
    one = action == "Restart"
    assert reruns.is_wanted(ended(42), container, "Never") == one
    assert reruns.of_all(ended(42), container) == (not one)
    for other in (ended(1), ended(42, lost=True)):
        assert not reruns.is_wanted(other, container, "Never")
        assert not reruns.of_all(other, container)
    assert not reruns.of_all(None, container)


def test_delays_double_up_to_five_minutes() -> None:
    delays = list(accumulate(repeat(0, 7), lambda delay, _: reruns.longer(delay), initial=0.0))
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert [reruns.shown(each) for each in (10.0, 60.0, 300.0)] == ["10s", "1m0s", "5m0s"]


def test_what_has_passed_counts_and_another_image_waits_for_nothing() -> None:
    mine = ContainerRecord(ended(1), delay=20.0)
    container = pods.container("main")
    assert reruns.delay(mine, {**container, "image": "busybox"}, 5.0) == 15.0
    assert reruns.delay(mine, {**container, "image": "busybox"}, 50.0) == 0.0
    assert reruns.delay(mine, {**container, "image": "another"}, 5.0) == 0.0

"""The Node's condition: what is said of policies, and when it is written."""

from __future__ import annotations

from wellhead.policy.condition import IN_FORCE, TYPE, State, difference, unknown

NODE = {"metadata": {"name": "node-1"}}
THEN, NOW = "2026-11-28T00:00:00Z", "2026-11-28T01:00:00Z"


def test_without_problems_policies_are_in_force() -> None:
    assert unknown({"sync": "", "watches": ""}, fails_open=False) == IN_FORCE


def test_without_news_nobody_knows_and_it_is_said_what_that_means() -> None:
    closed = unknown({"watches": "no watch of pods for 21 s"}, fails_open=False)
    assert (closed.unavailable, closed.reason) == (True, "PoliciesUnknown")
    assert closed.message.startswith("no watch of pods for 21 s: what was last in force stays so")
    assert closed.message.endswith("are cut off")
    assert unknown({"watches": "no"}, fails_open=True).message.endswith("pass")


def test_what_the_kernel_refuses_has_a_reason_of_its_own() -> None:
    assert unknown({"sync": "no", "watches": "no"}, fails_open=False).reason == "SyncFailed"


def test_it_is_written_once() -> None:
    patch = difference(NODE, IN_FORCE, NOW)
    assert patch is not None
    [condition] = patch["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["lastTransitionTime"]) == (TYPE, "False", NOW)
    assert difference(NODE | patch, IN_FORCE, NOW) is None


def test_only_another_status_is_a_transition() -> None:
    first, second = State(True, "PoliciesUnknown", "-"), State(True, "SyncFailed", "-")
    held = NODE | (difference(NODE, first, THEN) or {})
    for state, time in ((second, THEN), (IN_FORCE, NOW)):
        patch = difference(held, state, NOW)
        assert patch is not None
        assert patch["status"]["conditions"][0]["lastTransitionTime"] == time

"""What an event of the audit log says, at each level."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from wellhead.api.audit.event import Noted, Response, legacy, render, truncated
from wellhead.api.audit.policy import Decision, Level

OBJECT = b'{"kind":"Pod","metadata":{"name":"a","managedFields":[{}]}}'


def noted(level: Level = Level.METADATA, **fields: Any) -> Noted:
    found = Noted(
        Decision(level),
        "id-1",
        "/api/v1/pods",
        "create",
        {"username": "alice", "groups": ["dev"]},
        ["192.0.2.7"],
        "kubectl",
        {"resource": "pods", "apiVersion": "v1"},
        0.0,
        request=OBJECT,
    )
    return replace(found, **fields)


def event(of: Noted, response: Response | None = None, annotations: dict[str, str] | None = None) -> Any:
    return msgspec.json.decode(render(of, "ResponseComplete", 1.5, response, annotations or {}))


@pytest.mark.parametrize(
    ("level", "objects"),
    [
        (Level.METADATA, set()),
        (Level.REQUEST, {"requestObject"}),
        (Level.REQUEST_RESPONSE, {"requestObject", "responseObject"}),
    ],
)
def test_level_decides_which_objects_are_shown(level: Level, objects: set[str]) -> None:
    found = event(noted(level), Response(201, body=OBJECT))
    assert {"requestObject", "responseObject"} & set(found) == objects
    assert found["responseStatus"] == {"metadata": {}, "code": 201}
    assert found["stageTimestamp"] == "1970-01-01T00:00:01.500000Z"


def test_a_compressed_answer_is_shown_as_it_was_meant() -> None:
    response = Response(200, body=gzip.compress(OBJECT), zipped=True)
    assert event(noted(Level.REQUEST_RESPONSE), response)["responseObject"]["kind"] == "Pod"


def test_managed_fields_are_left_out_of_objects_lists_and_tables() -> None:
    decision = Decision(Level.REQUEST_RESPONSE, without_managed_fields=True)
    for body in (
        OBJECT,
        b'{"metadata":{},"items":[%b]}' % OBJECT,
        b'{"rows":[{"object":%b},{}]}' % OBJECT,
    ):
        found = event(noted(decision=decision), Response(200, body=body))
        assert "managedFields" not in str(found)
        assert "'name': 'a'" in str(found["responseObject"])


def test_an_error_s_status_is_told_without_its_kind() -> None:
    status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "no", "details": {}}
    assert event(noted(), Response(404, status))["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": "no",
        "reason": "NotFound",
        "code": 404,
    }


def test_annotations_that_show_patches_need_the_level_of_requests() -> None:
    annotations = {"patch.webhook.admission.k8s.io/round_0_index_0": "{}", "other": "x"}
    assert event(noted(), None, annotations)["annotations"] == {"other": "x"}
    assert event(noted(Level.REQUEST), None, annotations)["annotations"] == annotations


def test_a_long_user_agent_is_cut() -> None:
    assert event(noted(agent="a" * 2000))["userAgent"] == "a" * 1024 + "...TRUNCATED"


def test_truncation_takes_the_objects_first_then_the_event() -> None:
    text = render(noted(Level.REQUEST), "ResponseComplete", 0, None, {})
    assert truncated(text, len(text)) is text
    shorter = truncated(text, len(text) - 1)
    assert shorter is not None
    assert msgspec.json.decode(shorter)["annotations"] == {"audit.k8s.io/truncated": "true"}
    assert b"requestObject" not in shorter
    assert truncated(text, 50) is None


def test_legacy_line() -> None:
    acting = {"username": "bob", "groups": ["a", "b"]}
    text = render(noted(impersonated=acting), "RequestReceived", 0, None, {})
    assert legacy(text) == (
        '1970-01-01T00:00:00.000000Z AUDIT: id="id-1" stage="RequestReceived" ip="192.0.2.7" method="create"'
        ' user="alice" groups="dev" as="bob" asgroups="a","b" user-agent="kubectl" namespace="<none>"'
        ' uri="/api/v1/pods" response="<deferred>"'
    )

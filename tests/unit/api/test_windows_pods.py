"""What a pod may say of security, by the operating system that it is for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS

WINDOWS, LINUX = {"os": {"name": "windows"}}, {"os": {"name": "linux"}}
HOST = {"securityContext": {"windowsOptions": {"hostProcess": True}}}
NOT_ON_WINDOWS = "Forbidden: cannot be set for a windows pod"


def _refused(container: Obj, spec: Obj) -> list[str]:
    containers = [{"name": "c", "image": "i", **container}]
    try:
        create(PODS, named("p", spec={"containers": containers, **spec}))
    except Invalid as refused:
        return problems(refused)
    return []


def _user(name: str) -> Obj:
    return {"securityContext": {"windowsOptions": {"runAsUserName": name}}}


@pytest.mark.parametrize(
    ("container", "spec"),
    [
        ({}, WINDOWS),
        ({}, {**WINDOWS, **HOST, "hostNetwork": True}),
        (HOST, {"hostNetwork": True}),
        (_user("DOMAIN\\user"), {}),
        (_user("user.name"), WINDOWS),
        ({}, LINUX),
    ],
)
def test_these_are_valid(container: Obj, spec: Obj) -> None:
    assert not _refused(container, spec)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({**WINDOWS, "hostPID": True}, f"spec.hostPID: {NOT_ON_WINDOWS}"),
        (
            {**WINDOWS, "securityContext": {"runAsUser": 1}},
            f"spec.securityContext.runAsUser: {NOT_ON_WINDOWS}",
        ),
        ({**WINDOWS, "hostUsers": True}, f"spec.hostUsers: {NOT_ON_WINDOWS}"),
        (
            {**LINUX, "securityContext": {"windowsOptions": {}}},
            "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
        ),
        (
            HOST,
            "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any "
            "hostProcess containers",
        ),
    ],
)
def test_what_is_wrong_with_a_pod_is_said(spec: Obj, problem: str) -> None:
    assert problem in _refused({}, spec)


@pytest.mark.parametrize("field", ["capabilities", "seccompProfile", "seLinuxOptions"])
def test_what_a_container_on_windows_cannot_have(field: str) -> None:
    context: dict[str, Any] = {field: {"type": "RuntimeDefault"} if field == "seccompProfile" else {}}
    refused = _refused({"securityContext": context}, WINDOWS)
    assert refused == [f"spec.containers[0].securityContext.{field}: {NOT_ON_WINDOWS}"]


def test_a_container_agrees_with_its_pod() -> None:
    own = {"securityContext": {"windowsOptions": {"hostProcess": False}}}
    said = "pod hostProcess value must be identical if both are specified, was true"
    assert _refused(own, {**HOST, "hostNetwork": True}) == [
        f"spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: false: {said}"
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", " cannot be an empty string"),
        ("a\tb", " cannot contain control characters"),
        ("a\\b\\c", " cannot contain more than one backslash"),
        ("D?\\u", "'s Domain doesn't match the NetBios nor the DNS format"),
        ("D\\", "'s User cannot be empty"),
        ("u" * 105, "'s User length must not be longer than 104 characters"),
        (" . ", "'s User cannot contain only periods or spaces"),
        ("a/b", "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"),
    ],
)
def test_what_is_wrong_with_a_user_is_said(name: str, problem: str) -> None:
    (refused,) = _refused(_user(name), {})
    assert refused.endswith(f": runAsUserName{problem}")

"""What a Job may be and become, in upstream's words; and how it is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resources import JOBS
from wellhead.api.tables import to_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRUE = {
    "status": "True",
    "lastProbeTime": "2026-01-01T00:00:00Z",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def template(policy: str = "Never", **metadata: Any) -> Obj:
    container = {"name": "c", "image": "i", "resources": {}}
    return {"metadata": metadata, "spec": {"restartPolicy": policy, "containers": [container]}}


def job(name: str = "a", policy: str = "Never", **spec: Any) -> Obj:
    return named(name, spec={"template": template(policy), **spec})


def changed(old: Obj, **spec: Any) -> Obj:
    return update(JOBS, {**old, "spec": {**old["spec"], **spec}}, old)


def with_status(old: Obj, **status: Any) -> Obj:
    return update(JOBS, {**old, "status": status}, old, "status")


@pytest.mark.parametrize(
    ("own", "of_template", "expected"),
    [
        (None, None, ["generated"]),
        (None, {"a": "b"}, ["a", "generated"]),
        ({"a": "b"}, {"a": "b"}, ["a"]),
        ({"c": "d"}, None, ["c"]),
    ],
)
def test_a_job_without_labels_has_its_templates(
    own: dict[str, str] | None, of_template: dict[str, str] | None, expected: list[str]
) -> None:
    sent = job()
    sent["metadata"] |= {"labels": own} if own else {}
    sent["spec"]["template"] |= {"metadata": {"labels": of_template}} if of_template else {}
    made = create(JOBS, sent)
    labels = made["metadata"]["labels"]
    found = {"generated" if name.endswith(("job-name", "controller-uid")) else name for name in labels}
    assert sorted(found) == expected


def test_defaults() -> None:
    made = create(JOBS, job())
    spec, uid = made["spec"], made["metadata"]["uid"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "controller-uid": uid,
        "batch.kubernetes.io/job-name": "a",
        "job-name": "a",
    }
    assert spec["template"]["metadata"]["labels"] == labels
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    expected = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "manualSelector": False,
    }
    assert {name: spec[name] for name in expected} == expected
    assert "completions" not in create(JOBS, job(parallelism=2))["spec"]
    made = create(JOBS, job(completionMode="Indexed", completions=1, backoffLimitPerIndex=0))
    assert made["spec"]["backoffLimit"] == 2**31 - 1


RULE = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"parallelism": -1}, "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"completionMode": "Indexed", "parallelism": 1},
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            {"completionMode": "X"},
            'spec.completionMode: Unsupported value: "X": supported values: "NonIndexed", "Indexed"',
        ),
        (
            {"backoffLimitPerIndex": 1},
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            {"policy": "Always"},
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        (
            {"policy": "OnFailure", "podFailurePolicy": {"rules": [RULE]}},
            'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when '
            "podFailurePolicy is specified",
        ),
        (
            {"managedBy": "x"},
            'spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")',
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}},
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and "
            "OnPodConditions "
            "is required",
        ),
        (
            {"podFailurePolicy": {"rules": [RULE | {"action": "FailIndex"}]}},
            'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the '
            "backoffLimitPerIndex to be set",
        ),
        (
            {"podFailurePolicy": {"rules": [RULE]}, "podReplacementPolicy": "TerminatingOrFailed"},
            'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
        ),
        (
            {
                "podFailurePolicy": {
                    "rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [3, 0]}}]
                }
            },
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0]: must be ordered",
        ),
        (
            {
                "completionMode": "Indexed",
                "completions": 3,
                "successPolicy": {"rules": [{"succeededIndexes": "2,1"}]},
            },
            'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "2,1": error parsing '
            "succeededIndexes: "
            "non-increasing order, previous: 2, current: 1",
        ),
        (
            {"successPolicy": {"rules": [{"succeededCount": 1}]}},
            'spec.successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: requires indexed '
            "completion mode",
        ),
        (
            {"selector": {"matchLabels": {"a": "b"}}},
            "`selector` not auto-generated",
        ),
    ],
)
def test_what_a_job_may_not_be(spec: Obj, problem: str) -> None:
    with pytest.raises(Invalid) as error:
        create(JOBS, job(**spec))
    assert any(problem in each for each in problems(error.value)), problems(error.value)


def test_a_name_that_is_too_long_for_its_pods() -> None:
    with pytest.raises(Invalid) as error:
        create(JOBS, job("a" * 62, completionMode="Indexed", completions=11))
    host = "a" * 62 + "-10"
    assert problems(error.value) == [
        f'metadata.name: Invalid value: "{"a" * 62}": will not able to create pod with invalid DNS '
        f"label: {host}"
    ]


def test_what_may_change() -> None:
    made = create(JOBS, job(completions=2, parallelism=2))
    assert changed(made, parallelism=3)["metadata"]["generation"] == 2
    for spec, problem in (
        ({"completions": 3}, "spec.completions: Invalid value: 3: field is immutable"),
        ({"completionMode": "Indexed"}, 'spec.completionMode: Invalid value: "Indexed": field is immutable'),
    ):
        with pytest.raises(Invalid) as error:
            changed(made, **spec)
        assert problem in problems(error.value)
    indexed = create(JOBS, job(completions=2, parallelism=2, completionMode="Indexed"))
    changed(indexed, completions=4, parallelism=4)
    with pytest.raises(Invalid) as error:
        changed(indexed, completions=4)
    assert problems(error.value) == [
        "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"
    ]


def test_where_pods_go_may_change_while_the_job_is_suspended_and_at_rest() -> None:
    made = create(JOBS, job(suspend=True))
    pods = made["spec"]["template"]
    moved = {**pods, "spec": {**pods["spec"], "nodeSelector": {"a": "b"}}}
    changed(made, template=moved)
    with pytest.raises(Invalid) as error:
        changed(with_status(made, startTime="2026-01-01T00:00:00Z"), template=moved)
    assert problems(error.value)[0].startswith("spec.template: Invalid value: ")
    other = {**pods, "spec": {**pods["spec"], "hostNetwork": True}}
    with pytest.raises(Invalid):
        changed(made, template=other)


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({"succeeded": -1}, "status.succeeded: Invalid value: -1: must be greater than or equal to 0"),
        ({"ready": 2, "active": 1}, "status.ready: Invalid value: 2: cannot set more ready pods than active"),
        (
            {"conditions": [{"type": "Failed", **TRUE}], "startTime": "2026-01-01T00:00:00Z"},
            "status.conditions: Invalid value: cannot set Failed=True condition without the "
            "FailureTarget=true condition",
        ),
        (
            {"conditions": [{"type": "SuccessCriteriaMet", **TRUE}, {"type": "Complete", **TRUE}]},
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            {"completedIndexes": "1"},
            'status.completedIndexes: Invalid value: "1": cannot set non-empty completedIndexes when '
            "non-indexed "
            "completion mode",
        ),
        (
            {"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a"]}},
            'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
        ),
    ],
)
def test_what_a_status_may_not_be(status: Obj, problem: str) -> None:
    with pytest.raises(Invalid) as error:
        with_status(create(JOBS, job(completions=2)), **status)
    assert problem in problems(error.value)


def test_an_end_stays_an_end() -> None:
    ended = with_status(
        create(JOBS, job()),
        startTime="2026-01-01T00:00:00Z",
        failed=1,
        conditions=[{"type": "FailureTarget", **TRUE}, {"type": "Failed", **TRUE}],
    )
    with pytest.raises(Invalid) as error:
        with_status(ended, startTime="2026-01-01T00:00:00Z")
    assert problems(error.value) == [
        "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
        "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
        "status.failed: Invalid value: 0: cannot decrease the failed counter",
    ]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({}, ["a", "Running", "0/2", "", "0s", "c", "i"]),
        (
            {"startTime": "2025-12-31T23:59:30Z", "succeeded": 1},
            ["a", "Running", "1/2", "30s", "0s", "c", "i"],
        ),
        ({"conditions": [{"type": "Suspended", **TRUE}]}, ["a", "Suspended", "0/2", "", "0s", "c", "i"]),
    ],
)
def test_columns(status: Obj, shown: list[str]) -> None:
    made = {**create(JOBS, job(completions=2)), "status": status}
    table = to_table(JOBS, [made], now=NOW)
    assert table["rows"][0]["cells"][:7] == shown

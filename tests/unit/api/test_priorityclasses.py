"""What PriorityClasses may be, in upstream's words."""

from __future__ import annotations

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resources import PRIORITYCLASSES


def test_defaults() -> None:
    made = create(PRIORITYCLASSES, named(value=5))
    assert (made["value"], made["preemptionPolicy"]) == (5, "PreemptLowerPriority")
    create(PRIORITYCLASSES, named("system-node-critical", value=2_000_001_000))


@pytest.mark.parametrize(
    ("obj", "problem"),
    [
        (
            named(value=1_000_000_001),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            named("system-x", value=1),
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for "
            "system use "
            "only. error: system-x is not a known system priority class",
        ),
        (
            named(value=1, preemptionPolicy="x"),
            'preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"',
        ),
    ],
)
def test_what_a_class_may_not_be(obj: Obj, problem: str) -> None:
    with pytest.raises(Invalid) as error:
        create(PRIORITYCLASSES, obj)
    assert problems(error.value) == [problem]


def test_what_may_not_change() -> None:
    made = create(PRIORITYCLASSES, named(value=5))
    with pytest.raises(Invalid) as error:
        update(PRIORITYCLASSES, {**made, "value": 6, "preemptionPolicy": "Never"}, made)
    assert problems(error.value) == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]
    assert update(PRIORITYCLASSES, {**made, "description": "x"}, made)["metadata"]["generation"] == 2

"""The objects that are there from the start: valid, and put back as far as nobody has made them his own."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from wellhead.api.flowcontrol.bootstrap import AUTOUPDATE, levels, revised, schemas
from wellhead.api.kinds.flowcontrol import FlowSchemaStrategy, PriorityLevelStrategy


def test_all_are_valid_and_as_their_defaults_leave_them() -> None:
    for strategy, objects in ((FlowSchemaStrategy(), schemas()), (PriorityLevelStrategy(), levels())):
        for wanted in objects.values():
            obj = copy.deepcopy(wanted)
            strategy.default(obj)
            assert strategy.validate(obj) == []
            assert obj == wanted


def test_every_schema_s_level_is_there() -> None:
    for schema in schemas().values():
        assert schema["spec"]["priorityLevelConfiguration"]["name"] in levels()


def found(name: str, generation: int, annotation: str | None, **spec: Any) -> Any:
    obj = copy.deepcopy(levels()[name])
    obj["spec"]["limited" if "limited" in obj["spec"] else "exempt"] |= spec
    obj["metadata"] |= {"generation": generation, "annotations": {}}
    if annotation is not None:
        obj["metadata"]["annotations"] = {AUTOUPDATE: annotation}
    return obj


@pytest.mark.parametrize(
    ("generation", "annotation", "put_back", "says"),
    [
        (2, "true", True, "true"),
        (2, "false", False, "false"),
        (1, None, True, "true"),
        (2, None, False, "false"),
        (2, "perhaps", False, "false"),
        (1, "perhaps", True, "true"),
    ],
)
def test_a_suggested_object(generation: int, annotation: str | None, put_back: bool, says: str) -> None:
    wanted = levels()["system"]
    result = revised(found("system", generation, annotation, nominalConcurrencyShares=7), wanted)
    assert (result["spec"] == wanted["spec"]) is put_back
    assert result["metadata"]["annotations"] == {AUTOUPDATE: says}


def test_a_mandatory_object_is_always_put_back() -> None:
    wanted = levels()["catch-all"]
    result = revised(found("catch-all", 3, "false", nominalConcurrencyShares=7), wanted)
    assert result["spec"] == wanted["spec"]
    assert result["metadata"]["annotations"] == {AUTOUPDATE: "true"}


def test_what_is_set_aside_for_the_exempt_may_be_chosen() -> None:
    chosen = found("exempt", 2, "true", nominalConcurrencyShares=7)
    assert revised(chosen, levels()["exempt"]) == chosen


def test_what_is_as_it_should_be_stays() -> None:
    kept = found("system", 1, "true")
    assert revised(kept, levels()["system"]) == kept


def test_mandatory_objects_have_one_spec() -> None:
    changed = found("catch-all", 2, "true", nominalConcurrencyShares=7)
    (cause,) = PriorityLevelStrategy().validate(changed)
    assert cause.message.endswith("spec of 'catch-all' must equal the fixed value")
    assert PriorityLevelStrategy().validate(found("exempt", 2, "true", nominalConcurrencyShares=7)) == []
    schema = copy.deepcopy(schemas()["exempt"])
    schema["spec"]["rules"][0]["subjects"] = [{"kind": "Group", "group": {"name": "me"}}]
    (cause,) = FlowSchemaStrategy().validate(schema)
    assert "must equal the fixed value" in cause.message

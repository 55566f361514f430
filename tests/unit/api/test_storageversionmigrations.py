"""StorageVersionMigrations: what may be asked for, and what a status may say."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.kinds.storageversionmigration import MigrationStrategy

RULES = MigrationStrategy()


def migration(*true: str, version: str = "", **resource: str) -> Any:
    conditions = [{"type": each, "status": "True"} for each in true]
    return {
        "metadata": {"name": "m"},
        "spec": {"resource": {"resource": "things", **resource}},
        "status": {"conditions": conditions, "resourceVersion": version},
    }


@pytest.mark.parametrize(
    ("resource", "field"),
    [
        ({"resource": ""}, "spec.resource.resource"),
        ({"resource": "A b"}, "spec.resource.resource"),
        ({"group": "A b"}, "spec.resource.group"),
    ],
)
def test_a_resource_must_be_named(resource: dict[str, str], field: str) -> None:
    assert [cause.field for cause in RULES.validate(migration(**resource))] == [field]
    assert RULES.validate(migration(group="example.com")) == []


def test_what_is_migrated_stays() -> None:
    (cause,) = RULES.validate_update(migration(resource="others"), migration())
    assert (cause.field, cause.reason) == ("spec", "FieldValueInvalid")


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        (migration("Succeeded", "Failed"), migration(), "cannot be true at the same time"),
        (migration(), migration("Succeeded"), "Success condition cannot be set to false"),
        (migration(), migration("Failed"), "Failed condition cannot be set to false"),
        (migration(version="2"), migration(version="1"), "field is immutable"),
        (migration(version="x"), migration(), "not well formed"),
    ],
)
def test_a_status_goes_one_way(new: Any, old: Any, said: str) -> None:
    (cause,) = RULES.validate_status_update(new, old)
    assert said in cause.message


def test_a_status_goes_on() -> None:
    assert RULES.validate_status_update(migration("Succeeded", version="1"), migration("Running")) == []

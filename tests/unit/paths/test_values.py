"""The published values: their schema, and that codes are complete and documented."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from wellhead.paths.codes import Code
from wellhead.paths.schema import encode, schema
from wellhead.paths.way import (
    Decision,
    Disposition,
    Outcome,
    Report,
    SeenAs,
    Step,
    Way,
    What,
)

DOCS = Path(__file__).parents[3] / "docs"


def _report() -> Report:
    step = Step(
        who="kube-proxy on birch",
        what=What.SNAT,
        from_="198.51.100.79",
        to="10.20.0.12",
        code=Code.CLUSTER_POLICY,
        because="the policy is Cluster",
        decided_by=Decision(object="Service shop/web", field="spec.externalTrafficPolicy", value="Cluster"),
    )
    outcome = Outcome(
        share=1.0,
        disposition=Disposition.DELIVERED,
        source="10.20.0.12",
        seen_as=SeenAs.NODE,
        endpoint="10.244.1.5:8080",
        steps=(step,),
    )
    way = Way(
        client="outside", address="192.0.2.1", port=80, protocol="TCP", family="IPv4", outcomes=(outcome,)
    )
    return Report(target="svc/web", ways=(way,))


def test_the_published_schema_is_that_of_the_values() -> None:
    published = json.loads((DOCS / "schemas" / "paths-v1.json").read_text())
    assert published == json.loads(json.dumps(schema()))


def test_a_report_is_as_its_schema_says_and_reads_back() -> None:
    written = encode(_report())
    jsonschema_rs.Draft202012Validator(schema()).validate(json.loads(written))
    assert msgspec.json.decode(written, type=Report) == _report()


@pytest.mark.parametrize("name", ["client", "address", "port", "protocol", "family", "outcomes"])
def test_every_way_names(name: str) -> None:
    assert name in json.loads(encode(_report()))["ways"][0]


@pytest.mark.parametrize("name", ["share", "disposition", "source", "seenAs", "endpoint", "steps"])
def test_every_outcome_names(name: str) -> None:
    assert name in json.loads(encode(_report()))["ways"][0]["outcomes"][0]


def test_codes_are_told_apart_and_say_what_they_mean() -> None:
    assert len({str(each.value).lower() for each in Code}) == len(Code)
    assert all(each.meaning.endswith(".") for each in Code)

"""What was seen is held against all that was said could happen."""

from __future__ import annotations

from msgspec.structs import replace

from wellhead.paths.way import Disposition, Outcome, SeenAs, Way
from wellhead.trace.compare import agrees, differences, matching

SEEN = Outcome(
    share=1.0,
    disposition=Disposition.DELIVERED,
    source="10.240.0.12",
    seen_as=SeenAs.NODE,
    source_owner="node-2",
    endpoint="10.244.1.2:8080",
)
DROPPED = Outcome(
    share=1.0, disposition=Disposition.DROPPED, source=None, seen_as=SeenAs.UNKNOWN, endpoint=None
)


def way(*outcomes: Outcome, port: int = 80) -> Way:
    return Way(
        client="client", address="203.0.113.9", port=port, protocol="TCP", family="IPv4", outcomes=outcomes
    )


def test_one_of_several_outcomes_is_enough() -> None:
    other = replace(SEEN, source="10.240.0.11", source_owner="node-1")
    assert differences(way(other, SEEN), way(SEEN)) == ()


def test_another_source_endpoint_or_end_is_a_difference_that_is_put_into_words() -> None:
    for wrong in (
        replace(SEEN, source="10.240.0.11"),
        replace(SEEN, endpoint="10.244.3.2:8080"),
        replace(SEEN, source="198.51.100.79", seen_as=SeenAs.CLIENT),
        DROPPED,
    ):
        [said] = differences(way(wrong), way(SEEN))
        assert "seen: 10.240.0.12 (node) at 10.244.1.2:8080" in said


def test_a_node_whose_address_can_not_be_told_is_known_by_its_name() -> None:
    assert agrees(replace(SEEN, source=None), SEEN)
    assert not agrees(replace(SEEN, source=None, source_owner="node-1"), SEEN)
    assert not agrees(replace(SEEN, source=None, seen_as=SeenAs.CLIENT), SEEN)


def test_not_knowing_contradicts_nothing() -> None:
    unknown = replace(DROPPED, disposition=Disposition.UNKNOWN)
    assert agrees(unknown, SEEN)
    assert agrees(unknown, DROPPED)


def test_where_no_way_leads_silence_is_an_answer_and_the_reverse_is_not() -> None:
    unreachable = replace(DROPPED, disposition=Disposition.UNREACHABLE)
    assert agrees(unreachable, DROPPED)
    assert not agrees(DROPPED, unreachable)
    assert not agrees(replace(DROPPED, disposition=Disposition.REFUSED), DROPPED)


def test_the_prediction_is_that_of_what_was_dialled() -> None:
    predicted = (way(SEEN, port=443), way(DROPPED))
    assert matching(predicted, way(SEEN)) is predicted[1]
    assert matching(predicted, way(SEEN, port=81)) is None

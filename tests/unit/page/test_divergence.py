"""The first thing that happened to a packet otherwise than predicted is found, and where."""

from __future__ import annotations

from msgspec.structs import replace

from tests.unit.page.traces import hop, step, trace, way
from wellhead.page.divergence import divergence
from wellhead.paths.way import Disposition, SeenAs, What

CLIENT, NODE, PORT, ENDPOINT = "198.51.100.79", "10.240.0.11", "10.240.0.11:30000", "10.244.3.2:8080"
PREDICTED = way(
    step(What.SEND, CLIENT, "192.0.2.11:30000"),
    step(What.FORWARD, None, "node-1"),
    step(What.DNAT, PORT, ENDPOINT, "node-1", "the proxy on node-1"),
    step(What.SNAT, CLIENT, NODE, "node-1", "the proxy on node-1"),
    step(What.DELIVER, None, ENDPOINT, "node-3", "the pod"),
)
SENT = step(What.SEND, f"{CLIENT}:4711", "192.0.2.11:30000")
DNAT = step(What.DNAT, PORT, ENDPOINT, "node-1")
SNAT = step(What.SNAT, f"{CLIENT}:4711", f"{NODE}:20580", "node-1")
DELIVERED = step(What.DELIVER, f"{NODE}:20580", ENDPOINT)
DIFFERENT = ("predicted one thing; seen another",)


def test_what_went_as_predicted_diverges_nowhere() -> None:
    seen = trace(way(SENT, DNAT, SNAT, DELIVERED))
    assert divergence(PREDICTED, seen, ()) is None
    assert divergence(None, seen, DIFFERENT) is None


def test_a_packet_that_was_dropped_diverges_where_that_was() -> None:
    dropped = way(SENT, step(What.DROP, CLIENT, PORT, "node-1"), disposition=Disposition.DROPPED)
    found = divergence(PREDICTED, trace(dropped, hop("client"), hop("node-1", dropped=True)), DIFFERENT)
    assert found is not None
    assert (found.step, found.hop, found.outcome, found.predicted_step) == (1, 1, 0, 2)
    assert found.expected == f"the proxy on node-1 makes the destination {ENDPOINT}: it is so"


def test_a_source_that_was_kept_diverges_where_it_was_to_be_replaced() -> None:
    seen = trace(
        way(SENT, DNAT, DELIVERED, seen_as=SeenAs.CLIENT),
        hop("client"),
        hop("node-1", ("destination", PORT, ENDPOINT)),
        hop("pod"),
    )
    found = divergence(PREDICTED, seen, DIFFERENT)
    assert found is not None
    assert (found.step, found.hop, found.predicted_step) == (2, 2, 3)
    assert found.expected.startswith(f"the proxy on node-1 makes the source {NODE}")


def test_another_source_diverges_at_its_rewrite() -> None:
    other = step(What.SNAT, f"{CLIENT}:4711", "10.240.0.99:1", "node-1")
    seen = trace(
        way(SENT, DNAT, other, DELIVERED),
        hop("client"),
        hop("node-1", ("destination", PORT, ENDPOINT), ("source", f"{CLIENT}:4711", "10.240.0.99:1")),
        hop("pod"),
    )
    found = divergence(PREDICTED, seen, DIFFERENT)
    assert found is not None
    assert (found.step, found.hop) == (2, 1)


def test_ports_of_a_masquerade_are_nobodys_prediction() -> None:
    ipv6 = way(step(What.SNAT, "2001:db8::1", "fd00::1", "node-1"), step(What.DELIVER, None, ENDPOINT))
    seen = way(step(What.SNAT, "[2001:db8::1]:5", "[fd00::1]:6", "node-1"), step(What.DROP, None, None))
    found = divergence(ipv6, trace(seen), DIFFERENT)
    assert found is not None
    assert found.step == 1


def test_the_outcome_that_was_most_like_it_is_compared() -> None:
    elsewhere = step(What.DNAT, PORT, "10.244.2.2:8080", "node-1")
    other = replace(PREDICTED.outcomes[0], steps=(SENT, elsewhere, *PREDICTED.outcomes[0].steps[3:]))
    predicted = replace(PREDICTED, outcomes=(other, PREDICTED.outcomes[0]))
    found = divergence(
        predicted, trace(way(SENT, DNAT, step(What.DROP), disposition=Disposition.DROPPED)), DIFFERENT
    )
    assert found is not None
    assert (found.outcome, found.step) == (1, 2)


def test_what_was_to_end_and_went_on_says_so() -> None:
    dropped = way(SENT, step(What.DROP, None, None, "node-1", "the proxy"), disposition=Disposition.DROPPED)
    found = divergence(dropped, trace(way(SENT, DNAT, DELIVERED), hop("client")), DIFFERENT)
    assert found is not None
    assert (found.step, found.predicted_step, found.expected) == (1, 1, "the proxy: it is so")
    nothing = divergence(way(SENT), trace(way(SENT, DNAT), hop("client")), DIFFERENT)
    assert nothing is not None
    assert nothing.expected == "nothing more was expected to happen to it"

"""The truth table of pods: who is asked for what, and what an answer is worth."""

from __future__ import annotations

from typing import Any

import click
import pytest
from msgspec.structs import replace

from tests.unit.trace.test_compare import DROPPED, SEEN, way
from wellhead.cli.matrix import Dialled
from wellhead.ip import Family, Protocol
from wellhead.matrix.policies import arrived, chosen, judged, ports, questions
from wellhead.matrix.result import Verdict
from wellhead.paths.way import Disposition
from wellhead.trace.values import AnswerView, HopView, Trace


def pod(name: str, *addresses: str, namespace: str = "shop", phase: str = "Running", **spec: Any) -> Any:
    given = [{"name": "c", "ports": [{"containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"containers": given, **spec},
        "status": {"phase": phase, "podIPs": [{"ip": each} for each in addresses]},
    }


A, B = pod("a", "10.244.1.2", "fd00::2"), pod("b", "10.244.1.3")


def test_pods_that_run_and_have_addresses_of_their_own_are_asked() -> None:
    system, ended = pod("dns", namespace="kube-system"), pod("done", phase="Succeeded")
    host = pod("host", hostNetwork=True)
    assert chosen([B, A, system, ended, host], ()) == [A, B]
    assert chosen([A, system], ("kube-system",)) == [system]


def test_ports_are_those_that_containers_declare() -> None:
    assert ports([A, B]) == [(Protocol.TCP, 8080), (Protocol.UDP, 53)]
    assert ports([pod("none", containers=[{"name": "c"}])]) == [(Protocol.TCP, 80)]


def test_every_pair_with_such_addresses_is_a_question() -> None:
    asked = list(questions([A, B], list(Family), [(Protocol.TCP, 80)]))
    pairs = [(each.family, each.client, each.server) for each in asked]
    names = ("shop/a", "shop/b")
    assert pairs == [
        *((Family.IPV4, one, other) for one in names for other in names),
        (Family.IPV6, "shop/a", "shop/a"),
    ]


def test_a_prediction_that_leaves_both_open_is_not_wrong() -> None:
    assert judged(way(DROPPED), False) == (Verdict.AGREED, "")
    assert judged(way(SEEN), True) == (Verdict.AGREED, "")
    assert judged(way(SEEN), False) == (Verdict.DIFFERS, "predicted: passes; seen: dropped")
    refused = replace(DROPPED, disposition=Disposition.REFUSED)
    assert judged(way(refused), True)[0] is Verdict.AGREED
    assert judged(way(replace(DROPPED, disposition=Disposition.UNKNOWN)), True)[0] is Verdict.UNKNOWN
    assert judged(None, True)[0] is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("place", "dropped", "came"),
    [("pod shop/b", False, True), ("node-1", True, False), ("node-1", False, False)],
)
def test_what_came_to_the_pod_has_passed(place: str, dropped: bool, came: bool) -> None:
    hop = HopView(
        place=place, leg=1, direction="request", microseconds=0.0, interface_in="", interface_out="",
        source="", destination="", rewrites=(), rules=(), dropped=dropped, tunnelled=False, evidence=(),
    )  # fmt: skip
    answer = AnswerView(ended="refused", status=0, said="", body="")
    found = Trace(way=way(DROPPED), hops=(hop,), flows=(), answer=answer, counted=(), incomplete=())
    assert arrived(found, "shop/b") is came


def test_a_port_is_written_with_its_protocol_or_is_tcp() -> None:
    def convert(text: str) -> tuple[Protocol, int]:
        return Dialled().convert(text, None, None)

    assert (convert("80"), convert("53/udp")) == ((Protocol.TCP, 80), (Protocol.UDP, 53))
    for text in ("0", "web", "80/SCTP"):
        with pytest.raises(click.BadParameter):
            convert(text)

"""Which pods a node refuses, though somebody has given them to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import status
from wellhead.node.pods.admission import refusal
from wellhead.node.pods.record import PodRecord


def with_port(number: int, ip: str = "", protocol: str = "TCP") -> dict[str, Any]:
    port = {"containerPort": 80, "hostPort": number, "protocol": protocol}
    return pods.pod(pods.container("main", ports=[port | ({"hostIP": ip} if ip else {})]))


@pytest.mark.parametrize(
    ("wanted", "held", "refused"),
    [
        (with_port(5000), with_port(5000), True),
        (with_port(5000), with_port(5001), False),
        (with_port(5000), with_port(5000, protocol="UDP"), False),
        (with_port(5000, "127.0.0.1"), with_port(5000), True),
        (with_port(5000, "127.0.0.1"), with_port(5000, "::"), True),
        (with_port(5000, "127.0.0.1"), with_port(5000, "10.240.0.11"), False),
        (pods.pod(), with_port(5000), False),
    ],
)
def test_a_host_port_is_one_pods(wanted: dict[str, Any], held: dict[str, Any], refused: bool) -> None:
    assert (refusal(wanted, [held]) is not None) == refused


def test_a_pod_that_was_refused_has_failed_and_says_why() -> None:
    refused = refusal(with_port(5000), [with_port(5000)])
    assert refused is not None
    record = PodRecord(pods.pod(), phase="Failed", rejected=True, reason=refused.reason, message="so")
    assert status.compute(record, pods.view()) == {
        "phase": "Failed",
        "conditions": [],
        "qosClass": "BestEffort",
        "reason": "NodePorts",
        "message": "so",
    }

"""Links that are missing for a moment."""

from __future__ import annotations

from ipaddress import ip_address

from wellhead.proxy.symmetric_return.plan import Way
from wellhead.proxy.symmetric_return.settling import SECONDS, Settling

WAYS = (Way(ip_address("10.240.0.12"), "eth0"),)


def test_link_is_not_given_up_at_once() -> None:
    settling = Settling()
    assert settling.settle("node-2", WAYS, 0) == (WAYS, False)
    assert settling.settle("node-2", (), 10) == (WAYS, True)
    assert settling.settle("node-2", WAYS, 11) == (WAYS, False)
    assert settling.settle("node-2", (), 20) == (WAYS, True)
    assert settling.settle("node-2", (), 20 + SECONDS) == ((), False)


def test_new_node_without_routes_is_waited_for() -> None:
    settling = Settling()
    assert settling.settle("node-2", (), 0) == ((), True)
    assert settling.settle("node-2", WAYS, 1) == (WAYS, False)


def test_what_an_earlier_process_has_settled_is_not_waited_for() -> None:
    assert Settling(["node-2"]).settle("node-2", (), 0) == ((), False)

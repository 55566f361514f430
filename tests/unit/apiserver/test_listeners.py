"""On which addresses the server can be reached."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address

import pytest

from wellhead.apiserver.listeners import listeners

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def answers(bound: list[str], dialled: str) -> bool:
    with contextlib.ExitStack() as stack:
        [first, *rest] = listeners((), [ip_address(text) for text in bound], 0)
        for listener in (first, *rest):
            stack.enter_context(listener)
            listener.listen()
        try:
            with socket.create_connection((dialled, first.getsockname()[1]), 1):
                return True
        except ConnectionRefusedError:
            return False


@needs_ipv6
@pytest.mark.parametrize(
    ("bound", "dialled", "expected"),
    [
        (["::1"], "::1", True),
        (["::"], "::1", True),
        (["::"], "127.0.0.1", True),
        (["0.0.0.0"], "::1", False),
        (["::", "127.0.0.1"], "127.0.0.1", False),  # another port
    ],
)
def test_all_ipv6_addresses_means_all_addresses(bound: list[str], dialled: str, expected: bool) -> None:
    assert answers(bound, dialled) is expected


def test_without_an_address_there_is_nothing_to_listen_on() -> None:
    with pytest.raises(ValueError, match="nothing to listen on"):
        listeners((), (), 0)

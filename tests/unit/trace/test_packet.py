"""Packets are read as they are on the wire, and nothing that lies breaks the reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trace.frames import ethernet, icmp_error, ip, tcp, udp, vxlan
from wellhead.trace.packet import ICMP, ICMPV6, TCP, UDP, Flag, of_frame, of_ip

CASES = [("198.51.100.79", "10.0.0.1", ICMP), ("2001:db8::79", "fd00::1", ICMPV6)]


@pytest.mark.parametrize(("source", "destination", "_icmp"), CASES)
def test_ends_flags_and_numbers_of_a_segment(source: str, destination: str, _icmp: int) -> None:
    data = ip(source, destination, TCP, tcp((40000, 80), 7, 9, Flag.SYN | Flag.ACK, b"hello"), ttl=61)
    packet = of_frame(ethernet(data))
    assert packet is not None
    assert (str(packet.source.ip), packet.source.port) == (source, 40000)
    assert (str(packet.destination.ip), packet.destination.port) == (destination, 80)
    assert (packet.sequence, packet.acknowledged, packet.ttl) == (7, 9, 61)
    assert (packet.flags, packet.payload) == (Flag.SYN | Flag.ACK, b"hello")


@pytest.mark.parametrize(("source", "destination", "icmp"), CASES)
def test_an_error_quotes_what_it_is_about_though_it_be_eight_bytes(
    source: str, destination: str, icmp: int
) -> None:
    header = 20 if icmp == ICMP else 40
    quoted = ip(source, destination, TCP, tcp((40000, 80), 4711))[: header + 8]
    data = ip(destination, source, icmp, icmp_error(quoted, version=4 if icmp == ICMP else 6))
    packet = of_frame(ethernet(data))
    assert packet is not None
    assert packet.quoted is not None
    assert (packet.quoted.destination.port, packet.quoted.sequence) == (80, 4711)


def test_what_a_tunnel_carries_is_read_too() -> None:
    inner = ethernet(ip("10.244.1.2", "10.244.2.2", TCP, tcp((1, 2), 3)))
    outer = ethernet(ip("10.240.0.11", "10.240.0.12", UDP, udp((50000, 4799), vxlan(inner))))
    packet = of_frame(outer, frozenset({4799}))
    assert packet is not None
    assert packet.inner is not None
    assert packet.inner.sequence == 3
    assert of_frame(outer, frozenset()).inner is None  # type: ignore[union-attr]


@given(st.binary(max_size=120))
def test_whatever_comes_nothing_breaks(data: bytes) -> None:
    of_frame(data, frozenset({4799}))
    of_ip(data)


@given(st.data())
def test_a_frame_that_is_cut_short_is_read_as_far_as_it_goes(data: st.DataObject) -> None:
    frame = ethernet(ip("10.244.1.2", "10.244.2.2", TCP, tcp((1, 2), 3, payload=b"x" * 20)))
    of_frame(frame[: data.draw(st.integers(0, len(frame)))])

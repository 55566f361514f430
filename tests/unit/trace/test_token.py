"""A token is recognised in both directions; the kernel's filter lets through what it should, and no more."""

from __future__ import annotations

import pytest

from tests.unit.trace.frames import ACK, SYN, ethernet, icmp_error, ip, tcp, udp, vxlan
from wellhead.trace.packet import ICMP, ICMPV6, TCP, UDP, of_frame
from wellhead.trace.token import WINDOW, Tokens, _Line

ENDS = [("198.51.100.79", "10.0.0.1"), ("2001:db8::79", "fd00::1")]
TOKENS = Tokens(3, first=100_000, prefix="deadbeef")
TOKEN = TOKENS.token(1)
TUNNELS = frozenset({4799})


def passes(frame: bytes, program: list[_Line]) -> bool:
    """What the kernel's machine would do: linux/filter.h."""
    places = {label: index for index, (label, *_) in enumerate(program) if label}
    at = accumulator = index = 0
    while True:
        _, code, operand, true, false = program[at]
        at += 1
        size = {0x20: 4, 0x40: 4, 0x28: 2, 0x48: 2, 0x30: 1, 0x50: 1}.get(code)
        if size is not None:
            start = operand + (index if code & 0x40 else 0)
            if start + size > len(frame):
                return False
            accumulator = int.from_bytes(frame[start : start + size], "big")
        elif code == 0xB1:
            index = 4 * (frame[operand] & 15)
        elif code == 0x14:
            accumulator = (accumulator - operand) % (1 << 32)
        elif code == 0x06:
            return operand != 0
        else:
            holds = accumulator == operand if code == 0x15 else accumulator >= operand
            label = true if holds else false
            at = places[label] if label else at


@pytest.mark.parametrize(("source", "destination"), ENDS)
def test_the_filter_knows_both_directions_errors_tunnels_and_datagrams(source: str, destination: str) -> None:
    program = TOKENS._program(TUNNELS, all_tcp=False)
    icmp = ICMPV6 if ":" in source else ICMP
    version = 6 if ":" in source else 4

    def framed(protocol: int, data: bytes) -> bytes:
        return ethernet(ip(source, destination, protocol, data))

    assert passes(framed(TCP, tcp((1, 2), TOKEN.number)), program)
    assert passes(framed(TCP, tcp((1, 2), 5, TOKEN.number + 1, SYN | ACK)), program)
    assert passes(framed(UDP, udp((1, 2), f"{TOKEN.text} hello".encode())), program)
    assert passes(framed(UDP, udp((1, 4799), vxlan(b"x" * 60))), program)
    assert passes(framed(icmp, icmp_error(b"x" * 40, version=version)), program)
    assert not passes(framed(TCP, tcp((1, 2), TOKENS.first - 1)), program)
    assert not passes(framed(TCP, tcp((1, 2), TOKENS.first + TOKENS.span)), program)
    assert not passes(framed(UDP, udp((1, 2), b"something else")), program)
    echo = (8).to_bytes(1, "big") if version == 4 else (128).to_bytes(1, "big")
    assert not passes(framed(icmp, echo + bytes(7)), program)
    assert not passes(bytes(12) + b"\x08\x06" + bytes(28), program)


def test_with_all_tcp_every_segment_passes() -> None:
    program = TOKENS._program(TUNNELS, all_tcp=True)
    assert passes(ethernet(ip("10.0.0.1", "10.0.0.2", TCP, tcp((1, 2), 9))), program)
    assert not passes(ethernet(ip("10.0.0.1", "10.0.0.2", UDP, udp((1, 2), b"other stuff"))), program)


def test_tokens_of_one_set_are_told_apart_and_all_are_within_its_rules() -> None:
    segments = {
        index: of_frame(
            ethernet(ip("10.0.0.1", "10.0.0.2", TCP, tcp((1, 2), TOKENS.token(index).number + 9)))
        )
        for index in range(TOKENS.count)
    }
    for index, packet in segments.items():
        assert packet is not None
        assert [TOKENS.token(other).sent(packet) for other in range(3)] == [
            index == other for other in range(3)
        ]
        assert TOKENS.first <= packet.sequence < TOKENS.first + TOKENS.span
    with pytest.raises(IndexError):
        TOKENS.token(3)


def test_numbers_wrap_around() -> None:
    token = Tokens(first=(1 << 32) - 5).token()
    packet = of_frame(ethernet(ip("10.0.0.1", "10.0.0.2", TCP, tcp((1, 2), 3))))
    assert packet is not None
    assert token.sent(packet)
    assert Tokens().span == WINDOW

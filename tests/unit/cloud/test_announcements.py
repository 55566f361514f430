"""Frames of ARP and neighbour discovery, as other implementations write and read them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from wellhead.cloud.announce.packets import Question, answer, question, solicited_node, unasked

MAC, ASKER = bytes.fromhex("020000000001"), bytes.fromhex("0200000000aa")
VIP, VIP6 = IPv4Address("10.240.0.140"), IPv6Address("fd00:10:240::1:140")
# As Linux sends them: who has 10.240.0.140, tell 10.240.0.1; who has fd00:10:240::1:140.
REQUEST = bytes.fromhex(
    "ffffffffffff 0200000000aa 0806 0001 0800 06 04 0001 0200000000aa 0af00001 000000000000 0af0008c"
)
SOLICITATION = bytes.fromhex(
    "3333ff010140 0200000000aa 86dd 60000000 0020 3a ff fd000010024000000000000000000001"
    "ff0200000000000000000001ff010140 87 00 0000 00000000 fd000010024000000000000000010140 0101 0200000000aa"
)


def test_questions_are_read() -> None:
    assert question(REQUEST) == Question(VIP, IPv4Address("10.240.0.1"), ASKER)
    assert question(SOLICITATION) == Question(VIP6, IPv6Address("fd00:10:240::1"), ASKER)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        REQUEST[:30],
        REQUEST[:21] + b"\2" + REQUEST[22:],  # a reply
        SOLICITATION[:21] + b"\x40" + SOLICITATION[22:],  # has passed a router
        SOLICITATION[:54] + b"\x88" + SOLICITATION[55:],  # an advertisement
        SOLICITATION[:60],
    ],
)
def test_other_frames_ask_nothing(frame: bytes) -> None:
    assert question(frame) is None


def test_an_arp_reply_goes_to_the_asker_alone() -> None:
    asked = question(REQUEST)
    assert asked is not None
    assert answer(asked, MAC) == bytes.fromhex(
        "0200000000aa 020000000001 0806 0001 0800 06 04 0002 020000000001 0af0008c 0200000000aa 0af00001"
    )


def test_an_advertisement_is_solicited_overrides_and_has_the_right_checksum() -> None:
    asked = question(SOLICITATION)
    assert asked is not None
    frame = answer(asked, MAC)
    assert frame[:14] == ASKER + MAC + b"\x86\xdd"
    assert frame[21] == 255
    assert frame[54:56] == bytes((136, 0))
    assert frame[58] == 0x60  # solicited, override
    pseudo = frame[22:54] + (32).to_bytes(4, "big") + (58).to_bytes(4, "big")
    data = pseudo + frame[54:]
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    assert total % 0xFFFF == 0


def test_who_wants_to_take_a_vip_is_told_so_with_everybody_else() -> None:
    asked = Question(VIP6, IPv6Address("::"), ASKER)
    frame = answer(asked, MAC)
    assert frame[:6] == bytes.fromhex("333300000001")
    assert frame[38:54] == IPv6Address("ff02::1").packed
    assert frame[58] == 0x20  # override only


def test_unasked_a_vip_is_told_to_everybody() -> None:
    request, reply = unasked(VIP, MAC)
    assert (request[21], reply[21]) == (1, 2)
    assert request[28:32] == request[38:42] == VIP.packed
    (advertisement,) = unasked(VIP6, MAC)
    assert advertisement[22:38] == advertisement[62:78] == VIP6.packed


def test_questions_for_an_address_go_to_its_solicited_node_group() -> None:
    assert solicited_node(VIP6) == IPv6Address("ff02::1:ff01:140")

"""Messages: what is refused and how, sizes, EDNS, and that no bytes do any harm."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.opcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dns.world import ask, endpoint, endpoint_slice, responder, service, told
from wellhead.dns.responder import Elsewhere, Responder

_WEB = "web.shop.svc.cluster.local"


def many(count: int = 100) -> Responder:
    """A headless Service with so many endpoints."""
    return responder(
        service("db"), endpoint_slice("db", *(endpoint(f"10.244.1.{number}") for number in range(count)))
    )


def raw(asked: Responder, data: bytes) -> bytes | None:
    found = asked.respond(data, tcp=False)
    assert not isinstance(found, Elsewhere)
    return found[0]


def test_what_is_too_long_for_a_datagram_is_cut_off_and_whole_by_tcp() -> None:
    made = many()
    cut = ask(made, "db.shop.svc.cluster.local")
    assert cut.flags & dns.flags.TC
    assert len(cut.to_wire()) <= 512
    whole = ask(made, "db.shop.svc.cluster.local", tcp=True)
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 100


@pytest.mark.parametrize(("offered", "most"), [(0, 512), (600, 600), (1232, 1232), (65535, 1232)])
def test_a_datagram_is_as_long_as_the_client_takes_and_the_path_carries(offered: int, most: int) -> None:
    message = dns.message.make_query("db.shop.svc.cluster.local", "A", use_edns=0, payload=offered)
    reply = raw(many(), message.to_wire())
    assert reply is not None
    assert most - 80 < len(reply) <= most


def test_edns_is_answered_by_edns_and_its_absence_by_none() -> None:
    made = responder(service("web", "10.0.3.7"))
    assert ask(made, _WEB).edns == -1
    with_edns = ask(made, _WEB, use_edns=0, want_dnssec=True)
    assert (with_edns.edns, with_edns.payload) == (0, 1232)
    assert with_edns.ednsflags & dns.flags.DO


def test_another_version_of_edns_is_refused_as_such() -> None:
    assert ask(responder(), _WEB, use_edns=1).rcode().name == "BADVERS"


def test_other_operations_are_not_implemented() -> None:
    message = dns.message.make_query(_WEB, "A")
    message.set_opcode(dns.opcode.NOTIFY)
    reply = raw(responder(), message.to_wire())
    assert reply is not None
    answer = dns.message.from_wire(reply)
    assert (answer.id, answer.rcode().name, answer.opcode()) == (message.id, "NOTIMP", dns.opcode.NOTIFY)


@pytest.mark.parametrize("count", [0, 2])
def test_anything_but_one_question_is_a_format_error(count: int) -> None:
    message = dns.message.make_query(_WEB, "A").to_wire()
    question = message[12:] * count
    reply = raw(responder(), message[:4] + bytes([0, count]) + message[6:12] + question)
    assert reply is not None
    assert dns.message.from_wire(reply).rcode().name == "FORMERR"


@pytest.mark.parametrize(("type", "class_"), [("A", "CH"), ("A", "ANY"), ("AXFR", "IN"), ("IXFR", "IN")])
def test_other_classes_and_transfers_are_refused(type: str, class_: str) -> None:
    made = responder(service("web", "10.0.3.7"))
    assert ask(made, _WEB, type, rdclass=class_).rcode().name == "REFUSED"


def test_a_reply_is_never_replied_to() -> None:
    message = dns.message.make_query(_WEB, "A")
    message.flags |= dns.flags.QR
    assert raw(responder(), message.to_wire()) is None


def test_recursion_is_offered_only_where_there_is_somebody_to_ask() -> None:
    web = service("web", "10.0.3.7")
    assert not ask(responder(web), _WEB).flags & dns.flags.RA
    reply = ask(responder(web, forwards=True), _WEB)
    assert reply.flags & dns.flags.RA
    assert reply.flags & dns.flags.RD


@given(st.binary(max_size=64))
def test_no_bytes_do_harm(data: bytes) -> None:
    _check_harmless(data)


@given(st.data(), st.sampled_from(["A", "SRV", "PTR", "ANY", "OPT"]))
def test_no_damaged_query_does_harm(data: st.DataObject, type: str) -> None:
    query = bytearray(dns.message.make_query(_WEB, type, use_edns=0, payload=1232, id=1).to_wire())
    for _ in range(data.draw(st.integers(1, 4))):
        query[data.draw(st.integers(0, len(query) - 1))] = data.draw(st.integers(0, 255))
    _check_harmless(bytes(query[: data.draw(st.integers(0, len(query)))]))


_FORWARDING = responder(service("web", "10.0.3.7"), forwards=True)
_OFFLINE = responder(service("web", "10.0.3.7"))


def _check_harmless(data: bytes) -> None:
    """Nothing is raised, and what is said is a reply to it that isn't longer than a client takes."""
    for asked in (_FORWARDING, _OFFLINE):
        for tcp in (False, True):
            found = asked.respond(data, tcp=tcp)
            if isinstance(found, Elsewhere):
                reply, _ = asked.complete(found, None)
            elif found[0] is None:
                continue
            else:
                reply = found[0]
            assert reply[:2] == data[:2]
            assert reply[2] & 0x80
            assert len(reply) <= 1232
            dns.message.from_wire(reply)


def test_a_question_is_worked_out_once() -> None:
    made = responder(service("web", "10.0.3.7"))
    first = told(ask(made, _WEB, id=1))
    data = dns.message.make_query(_WEB, "A", id=2).to_wire()
    assert made.udp_get(data[2:]) is not None
    assert told(ask(made, _WEB, id=2)) == first

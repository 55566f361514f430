"""Bytes to questions and answers to bytes, by dnspython."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from wellhead.dns.answers import Record

TTL = 5
"""Seconds that an answer may be kept by who gets it."""
MAX_UDP = 1232
"""Bytes that we send in one datagram at most: what fits into the smallest MTU that IPv6 allows."""
_PLAIN_UDP = 512  # without EDNS (RFC 1035)
_MAX_TCP = 65535
_HEADER = struct.Struct("!6H")


class Malformed(Exception):
    """No question that can be answered; `reply` is what to say, None: nothing."""

    def __init__(self, reply: bytes | None) -> None:
        super().__init__("malformed")
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `labels` are in lower case, without the root; `type` is as in zone files."""

    message: dns.message.Message
    name: dns.name.Name
    labels: tuple[str, ...]
    type: str
    is_internet: bool
    has_options: bool
    """Whether it says more by EDNS than the size of datagrams: such a message is hardly asked twice."""

    def limit(self, tcp: bool) -> int:
        """How long the reply may be."""
        if tcp:
            return _MAX_TCP
        return min(max(self.message.payload, _PLAIN_UDP), MAX_UDP) if self.message.edns >= 0 else _PLAIN_UDP


def parse(data: bytes) -> Question:
    """Read a query.

    Raises:
        Malformed: it is a reply, or too short to be answered; or it is refused: NOTIMP for other opcodes than
            QUERY, FORMERR for anything but one question, BADVERS for another version of EDNS.
    """
    if len(data) < _HEADER.size:
        raise Malformed(None)
    number, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if flags & dns.flags.QR:
        raise Malformed(None)
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        raise Malformed(_refusal(number, flags, dns.rcode.NOTIMP))
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        raise Malformed(_refusal(number, flags, dns.rcode.FORMERR))
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        question = message.question[0]
    except (dns.exception.DNSException, ValueError, IndexError, struct.error):
        raise Malformed(_refusal(number, flags, dns.rcode.FORMERR)) from None
    if message.edns > 0:
        reply = _reply(message, dns.rcode.BADVERS, False)
        raise Malformed(reply.to_wire())
    return Question(
        message,
        question.name,
        tuple(label.lower().decode("latin-1") for label in question.name.labels[:-1]),
        dns.rdatatype.to_text(question.rdtype),
        question.rdclass == dns.rdataclass.IN,
        bool(message.options),
    )


class Renderer:
    """Makes replies for one domain (without a dot at its end). `serial` is the zone's, in its SOA."""

    def __init__(self, domain: str, serial: int, *, recursive: bool) -> None:
        self._recursive = recursive
        self._soa = dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.SOA,
            f"ns.dns.{domain}. hostmaster.{domain}. {serial} 7200 1800 86400 {TTL}",
        )

    def render(
        self,
        question: Question,
        rcode: dns.rcode.Rcode,
        *,
        tcp: bool,
        authority: str = "",
        negative: bool = False,
        records: Iterable[Record] = (),
        additional: Iterable[Record] = (),
    ) -> bytes:
        """A reply with the question's id; with `authority`, a zone's name, it is an authoritative one.

        An SOA tells that there is nothing (`negative`). What is too long for a datagram is cut off (TC).
        """
        reply = _reply(question.message, rcode, self._recursive)
        if authority:
            reply.flags |= dns.flags.AA
            if negative:
                reply.authority = [dns.rrset.from_rdata(dns.name.from_text(authority), TTL, self._soa)]
        limit = question.limit(tcp)
        answer = list(records)
        reply.answer = self.rrsets(question.name, answer)
        reply.additional = self.rrsets(question.name, additional)
        fitting = _fitting(reply, limit)
        if fitting is None:
            reply.additional = []
            fitting = _fitting(reply, limit)
        if fitting is not None:
            return fitting
        # As many records as fit: a client that doesn't come back by TCP has something at least.
        reply.flags |= dns.flags.TC
        fits = reply.to_wire(max_size=limit, prefer_truncation=True)
        low, high = 0, len(answer)
        while high - low > 1:
            middle = (low + high) // 2
            reply.answer = self.rrsets(question.name, answer[:middle])
            fitting = _fitting(reply, limit)
            if fitting is None:
                high = middle
            else:
                low, fits = middle, fitting
        return fits

    def rrsets(self, asked: dns.name.Name, records: Iterable[Record]) -> list[dns.rrset.RRset]:
        """Records as sets; those without an owner are of the name that was asked for."""
        found: dict[tuple[str, str], dns.rrset.RRset] = {}
        for each in records:
            rrset = found.get((each.owner, each.type))
            if rrset is None:
                owner = dns.name.from_text(each.owner) if each.owner else asked
                rrset = dns.rrset.RRset(owner, dns.rdataclass.IN, dns.rdatatype.from_text(each.type))
                found[each.owner, each.type] = rrset
            rrset.add(self._rdata(each), TTL)
        return list(found.values())

    def _rdata(self, record: Record) -> dns.rdata.Rdata:
        if record.type == "SOA":
            return self._soa
        text = " ".join(map(str, record.data)) if isinstance(record.data, tuple) else record.data
        if record.type == "TXT":
            text = f'"{text}"'
        return dns.rdata.from_text(dns.rdataclass.IN, record.type, text)


def to_wire(reply: dns.message.Message, limit: int) -> bytes:
    """Its bytes; cut off with TC set where they would be more than `limit`."""
    return reply.to_wire(max_size=limit, prefer_truncation=True)


def _fitting(reply: dns.message.Message, limit: int) -> bytes | None:
    """Its bytes, with records in the order in which they are, if they aren't more than `limit`."""
    try:
        return reply.to_wire(max_size=limit, want_shuffle=False)
    except dns.exception.TooBig:
        return None


def reply_to(question: Question, rcode: dns.rcode.Rcode, *, recursive: bool) -> dns.message.Message:
    """A reply with nothing in it yet."""
    return _reply(question.message, rcode, recursive)


def rotations(records: Sequence[Record], most: int) -> list[list[Record]]:
    """The same records with each address first in turn; what leads to the addresses stays before them."""
    lead = [each for each in records if each.type not in ("A", "AAAA")]
    addresses = [each for each in records if each.type in ("A", "AAAA")]
    count = max(1, min(len(addresses), most))
    step = max(1, len(addresses) // count)
    return [[*lead, *addresses[at * step :], *addresses[: at * step]] for at in range(count)]


def _reply(query: dns.message.Message, rcode: dns.rcode.Rcode, recursive: bool) -> dns.message.Message:
    reply = dns.message.QueryMessage(id=query.id)
    reply.flags = dns.flags.QR | (query.flags & (dns.flags.RD | dns.flags.CD))
    if recursive:
        reply.flags |= dns.flags.RA
    reply.question = list(query.question)
    if query.edns >= 0:
        reply.use_edns(0, query.ednsflags & dns.flags.DO, MAX_UDP)
    reply.set_rcode(rcode)
    return reply


def _refusal(number: int, flags: int, rcode: dns.rcode.Rcode) -> bytes:
    kept = flags & (0x7800 | dns.flags.RD)
    return _HEADER.pack(number, dns.flags.QR | kept | rcode, 0, 0, 0, 0)

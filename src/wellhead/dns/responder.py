"""A query's bytes in, a reply's bytes out: from the cache, from the zone, or to be had from somebody else."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode

from wellhead.dns import wire
from wellhead.dns.answers import Answer, Answers, Record
from wellhead.dns.cache import Cache, Entry
from wellhead.dns.wire import Malformed, Question, Renderer
from wellhead.dns.zone import Fact, Zone

OUTSIDE = "."
"""What metrics call the zone of names that aren't ours."""
_TRANSFERS = frozenset({"AXFR", "IXFR"})
_CACHED = 65536  # replies
_LONGEST_CACHED = 300  # bytes of a query: a name has 255 at most
_ORDERS = 4  # of a reply's addresses


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What somebody else is to be asked: `name` instead of the question's own, with what we know already."""

    question: Question
    name: dns.name.Name
    known: tuple[Record, ...] = ()
    tcp: bool = False


class Responder:
    """Answers for the cluster domain; `domain` is in lower case. With `forwards`, other names are for others.

    Without, there is nobody to ask, and other names don't exist: a client that hears so gives up at once,
    while after SERVFAIL it would ask again.
    """

    def __init__(self, domain: str, own: tuple[str, ...], serial: int, *, forwards: bool) -> None:
        self.zone = Zone(self._changed)
        self.is_ready = False
        """Whether the zone holds what the API server does: before, names of the domain get SERVFAIL."""
        self._answers = Answers(self.zone, domain, own)
        self._renderer = Renderer(domain, serial, recursive=forwards)
        self._domain = f"{domain}."
        self._forwards = forwards
        self._udp, self._tcp = Cache(_CACHED), Cache(_CACHED)
        self.udp_get, self.tcp_get = self._udp.get, self._tcp.get

    def __len__(self) -> int:
        """How many replies are kept."""
        return len(self._udp) + len(self._tcp)

    def respond(self, data: bytes, *, tcp: bool) -> tuple[bytes | None, Entry] | Elsewhere:
        """The reply (None: nothing is to be said) and what it counts as.

        Never raises on account of what `data` is.
        """
        cache = self._tcp if tcp else self._udp
        key = data[2:]
        entry = cache.get(key)
        if entry is not None:
            return data[:2] + entry.next(), entry
        try:
            question = wire.parse(data)
        except Malformed as error:
            return error.reply, Entry((), "other", OUTSIDE, "FORMERR")
        found = self._work_out(question, tcp)
        if isinstance(found, Elsewhere):
            return found
        entry, keep = found
        if keep and not question.has_options and len(data) <= _LONGEST_CACHED:
            cache.put(key, entry)
        return data[:2] + entry.next(), entry

    def complete(self, asked: Elsewhere, reply: dns.message.Message | None) -> tuple[bytes, str]:
        """The reply to a question, made of somebody else's (None: nobody gave one), and its code."""
        question = asked.question
        if reply is not None:
            with contextlib.suppress(dns.exception.DNSException):  # one that can't be said again
                own = wire.reply_to(question, reply.rcode(), recursive=True)
                own.flags |= reply.flags & (dns.flags.AD | dns.flags.TC)
                own.answer = [*self._renderer.rrsets(question.name, asked.known), *reply.answer]
                own.authority, own.additional = list(reply.authority), list(reply.additional)
                return wire.to_wire(own, question.limit(asked.tcp)), dns.rcode.to_text(reply.rcode())
        own = wire.reply_to(question, dns.rcode.SERVFAIL, recursive=True)
        return own.to_wire(), dns.rcode.to_text(dns.rcode.SERVFAIL)

    def _changed(self, fact: Fact) -> None:
        self._udp.changed((fact,))
        self._tcp.changed((fact,))

    def _work_out(self, question: Question, tcp: bool) -> tuple[Entry, bool] | Elsewhere:
        if not question.is_internet or question.type in _TRANSFERS:
            return self._entry(question, dns.rcode.REFUSED, tcp, OUTSIDE), True
        if self._answers.within(question.labels):
            if not self.is_ready:
                return self._entry(question, dns.rcode.SERVFAIL, tcp, self._domain), False
            found = self._answers.answer(question.labels, question.type)
            if found.continues_at and self._forwards:
                name = dns.name.from_text(found.continues_at)
                return Elsewhere(question, name, tuple(found.records), tcp)
            return self._answered(question, found, tcp, self._domain), True
        reverse = self._answers.reverse(question.labels)
        if reverse is not None and reverse.exists:
            zone = ".".join(question.labels[-2:]) + "."
            if question.type != "PTR":
                reverse.records = []
            return self._answered(question, reverse, tcp, zone), True
        if self._forwards:
            return Elsewhere(question, question.name, tcp=tcp)
        entry = self._entry(question, dns.rcode.NXDOMAIN, tcp, OUTSIDE)
        entry.facts = tuple(reverse.facts) if reverse is not None else ()
        return entry, self.is_ready or reverse is None

    def _answered(self, question: Question, found: Answer, tcp: bool, zone: str) -> Entry:
        rcode = dns.rcode.NOERROR if found.exists else dns.rcode.NXDOMAIN
        negative = not found.continues_at and all(
            each.type == "CNAME" != question.type for each in found.records
        )
        replies = tuple(
            self._renderer.render(
                question,
                rcode,
                tcp=tcp,
                authority=zone,
                negative=negative,
                records=records,
                additional=found.additional,
            )[2:]
            for records in wire.rotations(found.records, _ORDERS)
        )
        return Entry(replies, question.type, zone, dns.rcode.to_text(rcode), tuple(found.facts))

    def _entry(self, question: Question, rcode: dns.rcode.Rcode, tcp: bool, zone: str) -> Entry:
        reply = self._renderer.render(question, rcode, tcp=tcp)
        return Entry((reply[2:],), question.type, zone, dns.rcode.to_text(rcode))

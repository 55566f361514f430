"""Asking other resolvers what isn't ours to know (dnspython), a bounded number at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode

from wellhead.dns.metrics import Metrics
from wellhead.dns.responder import Elsewhere

_log = logging.getLogger(__name__)

Address = tuple[str, int]
_PATIENCE = 2.0  # seconds, for each of the others
_MOST = 1000  # under way at once, as CoreDNS' max_concurrent is usually


class Forwarder:
    """Asks `upstreams` one after the other, from the one that answered last, until one answers."""

    def __init__(self, upstreams: Sequence[Address], metrics: Metrics) -> None:
        self._upstreams = list(upstreams)
        self._metrics = metrics
        self._under_way = 0

    async def ask(self, asked: Elsewhere) -> dns.message.Message | None:
        """Their answer; None when nobody gave one, or too much is under way."""
        if self._under_way >= _MOST:
            self._metrics.rejected += 1
            return None
        self._under_way += 1
        try:
            return await self._ask(asked)
        finally:
            self._under_way -= 1

    async def _ask(self, asked: Elsewhere) -> dns.message.Message | None:
        given = asked.question.message
        query = dns.message.make_query(asked.name, given.question[0].rdtype, use_edns=0, payload=1232)
        query.flags = dns.flags.RD | (given.flags & (dns.flags.CD | dns.flags.AD))
        if given.edns >= 0 and given.ednsflags & dns.flags.DO:
            query.want_dnssec()
        for upstream in list(self._upstreams):
            host, port = upstream
            begin = time.perf_counter()
            try:
                reply, _ = await dns.asyncquery.udp_with_fallback(
                    query, host, _PATIENCE, port, ignore_unexpected=True, ignore_errors=True
                )
            except (dns.exception.DNSException, OSError, EOFError) as error:
                self._metrics.forwarded(f"{host}:{port}", "", time.perf_counter() - begin)
                _log.debug("%s:%d: %r", host, port, error)
                # The others first, as long as it doesn't answer.
                self._upstreams.remove(upstream)
                self._upstreams.append(upstream)
                continue
            rcode = dns.rcode.to_text(reply.rcode())
            self._metrics.forwarded(f"{host}:{port}", rcode, time.perf_counter() - begin)
            return reply
        return None

"""One real request, followed and held against what had been predicted. Blocks; the server calls it in a
thread.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from wellhead.ip import Family
from wellhead.lab.cluster import LabError
from wellhead.page.divergence import divergence
from wellhead.page.errors import Cannot, CannotAsk
from wellhead.page.history import Kept
from wellhead.page.values import Line, Send, Sent
from wellhead.paths.way import Disposition
from wellhead.paths.world import World
from wellhead.trace import policies, text
from wellhead.trace.compare import differences
from wellhead.trace.observer import CannotWatch
from wellhead.trace.predict import predict
from wellhead.trace.request import How
from wellhead.trace.session import Session
from wellhead.trace.target import Frontend, Wanted

CLIENT = "client"
"""Whoever is outside, as trace names it."""
_SECONDS = 2.0
"""What a request waits for an answer where no rule was seen to end it."""


def send(watch: Callable[[], Session], question: Send, number: str, world: Callable[[], World]) -> Kept:
    """The request, with its packets. `world` is asked when it has been sent.

    Places are watched for this one alone: pods that came since the last are among them, and nothing of ours
    is in any namespace between two requests.

    Raises:
        CannotAsk: there is no such client or target.
        Cannot: packets can't be followed. Nothing is left behind.
    """
    try:
        sent, packets = _send(watch, question, number, world)
    except ValueError as error:  # Unclear, and kinds of addresses and requests that there aren't
        raise CannotAsk(str(error)) from None
    except (CannotWatch, LabError) as error:
        raise Cannot(str(error), 409) from None
    return Kept(
        line=line(sent), json=msgspec.json.encode(sent), text=sent.text.encode(), pcapng=packets, sent=sent
    )


def _send(
    watch: Callable[[], Session], question: Send, number: str, world: Callable[[], World]
) -> tuple[Sent, bytes]:
    wanted = to_wanted(question)
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with watch() as session:
        trace = session.send(question.client, wanted, seconds=_SECONDS, path=question.path or "/")
        packets = session.pcapng()
    predicted = predict(world(), trace.way)
    trace = policies.named(trace, predicted)
    differing = differences(predicted, trace.way) if predicted is not None else ()
    told = [*text.lines(trace), "", *text.comparison(predicted, differing)]
    sent = Sent(
        id=number,
        at=at,
        question=question,
        trace=trace,
        predicted=predicted,
        differences=differing,
        diverges=divergence(predicted, trace, differing),
        text="\n".join(told) + "\n",
    )
    return sent, packets


def to_wanted(question: Send) -> Wanted:
    """As trace takes it. Raises ValueError: no such kind of address, or of request."""
    return Wanted(
        question.target,
        question.namespace or "default",
        from_outside=question.client == CLIENT,
        family=Family.IPV6 if question.ipv6 else None,
        frontend=Frontend(question.by) if question.by else None,
        via=question.via,
        how=How(question.how) if question.how else None,
    )


def line(sent: Sent) -> Line:
    """How it stands in the history."""
    asked, answered = list(text.summary(sent.trace))[:2]
    outcome = sent.trace.way.outcomes[0]
    return Line(
        id=sent.id,
        at=sent.at,
        question=sent.question,
        summary=f"{asked}: {answered}",
        disposition=str(outcome.disposition or Disposition.UNKNOWN),
        agreed=not sent.differences,
    )

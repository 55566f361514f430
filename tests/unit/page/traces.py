"""Requests as they were seen, and as they were predicted."""

from __future__ import annotations

from typing import Any

from wellhead.page.values import Send, Sent
from wellhead.paths.codes import Code
from wellhead.paths.way import Disposition, Outcome, SeenAs, Step, Way, What
from wellhead.trace.values import AnswerView, HopView, RewriteView, Trace


def step(what: What, from_: str | None = None, to: str | None = None, node: str = "", who: str = "x") -> Step:
    return Step(who=who, what=what, from_=from_, to=to, code=Code.ROUTED, because="it is so", node=node)


def way(
    *steps: Step,
    disposition: Disposition = Disposition.DELIVERED,
    seen_as: SeenAs = SeenAs.NODE,
    client: str = "client",
    service: str = "default/nodeport",
    frontend: str = "NodePort",
) -> Way:
    outcome = Outcome(
        share=1.0, disposition=disposition, source=None, seen_as=seen_as, endpoint=None, steps=steps
    )
    return Way(
        client=client,
        address="192.0.2.11",
        port=30000,
        protocol="TCP",
        family="IPv4",
        frontend=frontend,
        service=service,
        outcomes=(outcome,),
    )


def hop(place: str, *rewrites: tuple[str, str, str], dropped: bool = False) -> HopView:
    return HopView(
        place=place,
        leg=1,
        direction="request",
        microseconds=0.0,
        interface_in="",
        interface_out="",
        source="",
        destination="",
        rewrites=tuple(RewriteView(what=what, from_=a, to=b, who="proxy") for what, a, b in rewrites),
        rules=(),
        dropped=dropped,
        tunnelled=False,
        evidence=(),
    )


def trace(of: Way, *hops: HopView) -> Trace:
    answer = AnswerView(ended="answered", status=200, said="", body="")
    return Trace(way=of, hops=hops, flows=(), answer=answer)


def sent(of: Way, **more: Any) -> Sent:
    return Sent(
        id="1",
        at="2026-11-29T00:00:00Z",
        question=Send(client=of.client, target=f"svc/{of.service}"),
        trace=trace(of),
        predicted=None,
        differences=(),
        diverges=None,
        text="",
        **more,
    )

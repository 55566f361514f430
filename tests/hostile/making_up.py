"""Requests that schemathesis makes up from OpenAPI documents, as many as a budget for all of them allows.

Run as a program, schemathesis takes its examples by operation, so that each new kind makes it longer, and
waits for the end of each answer, a watch's too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Ok

from tests.hostile.server import Server

# Objects of these names are there, so that most requests get past a 404.
_THERE = {"name": "a", "namespace": "default", "path": "a"}
# What is behind an agent that isn't there answers 5xx upstream, too: it can't be dialled.
_AGENTS = ("/proxy", "/proxy/{path}", "/exec", "/attach", "/portforward", "/log")
_ORDER = ("get", "head", "options", "post", "patch", "put", "delete")
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_KEPT = 300
"""Bytes of an answer that are shown."""

Operation = APIOperation[Any, Any, Any, Any]


@dataclass
class Run:
    """What was asked, and which answers said that the server failed."""

    requests: int = 0
    visited: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def operations(documents: Sequence[dict[str, Any]]) -> list[Operation]:
    """Every operation: agents' before somebody made up an address for one; what deletes, last."""
    results = itertools.chain.from_iterable(
        schemathesis.openapi.from_dict(document).get_all_operations() for document in documents
    )
    found: list[Operation] = []
    for result in results:
        assert isinstance(result, Ok), result.err()
        found.append(result.ok())
    return sorted(
        found,
        key=lambda operation: (not _is_agents(operation), _ORDER.index(operation.method)),
    )


def _is_plain(text: bytes) -> bool:
    """Whether it is what upstream, too, answers with a 500 that has no reason: the client's fault."""
    return b'"code":500' in text and b'"reason"' not in text


def _is_agents(operation: Operation) -> bool:
    return operation.path.endswith(_AGENTS)


def within(budget: int, choices: Sequence[Operation]) -> Iterator[tuple[Operation, GenerationMode, int]]:
    """Each operation, with its share of a budget of requests, in each mode.

    If the share is less than one of each mode, the modes take turns: no operation is left out, ever.
    """
    share = budget // (len(choices) * len(_MODES))
    for number, operation in enumerate(choices):
        for mode in _MODES if share else (_MODES[number % 2],):
            yield operation, mode, max(1, share)


def ask(server: Server, identity: Path, budget: int, choices: Sequence[Operation]) -> Run:
    """Send made up requests, the same each time, with the key and the certificate that `identity` begins."""
    run = Run()
    with requests.Session() as session:
        session.cert = (f"{identity}.crt", f"{identity}.key")
        session.verify = str(identity.parent / "ca.crt")
        session.headers["User-Agent"] = "schemathesis"
        for operation, mode, count in within(budget, choices):
            _ask(run, server, session, operation, mode, count)
    return run


def _ask(
    run: Run,
    server: Server,
    session: requests.Session,
    operation: Operation,
    mode: GenerationMode,
    count: int,
) -> None:
    names = [parameter.name for parameter in operation.path_parameters]
    known = {name: _THERE[name] for name in names if name in _THERE}

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(mode, path_parameters=known))
    def send(case: Case[Operation]) -> None:
        prepared = session.prepare_request(requests.Request(**case.as_transport_kwargs(base_url=server.url)))
        run.requests += 1
        run.visited.add(operation.label)
        # An answer that streams may never end: what counts is how it begins.
        with session.send(prepared, stream=True, timeout=60, allow_redirects=False) as answer:
            text = answer.content if "Content-Length" in answer.headers else b""
            if answer.status_code >= 500 and not (_is_agents(operation) or _is_plain(text)):
                run.failures.append(
                    f"{operation.label} {prepared.url} → {answer.status_code} {text[:_KEPT]!r}"
                )

    try:
        send()
    except Unsatisfiable:  # no request of this operation is wrong by its schema
        run.visited.add(operation.label)

"""All measurements of the proxy, for one number of Services after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.measure import Result
from bench.proxy import apiserver, connections, newcomers, objects, results, sync
from bench.proxy.network import DIRECT, POD_PORT, node
from wellhead.proxy.mode import ProxyMode

DEFAULT_SERVICES = (10_000, 50_000)
_FIRST_SYNCS = 3


def measure(
    services: Sequence[int],
    mode: ProxyMode,
    kubeconfig: Path | None = None,
    doing: Callable[[str], None] = lambda what: None,
) -> list[Result]:
    """The rows for each of `services`, in ascending order. Says what it is `doing`."""
    found: list[Result] = []
    for count in services:
        found += _in_process(count, mode, doing)
    return found + _as_process(services, mode, kubeconfig, doing)


def _in_process(count: int, mode: ProxyMode, doing: Callable[[str], None]) -> list[Result]:
    name = _name(count, mode)
    syncs: list[sync.Sync] = []
    for number in range(_FIRST_SYNCS):
        doing(f"{name}: first sync, {number + 1} of {_FIRST_SYNCS}")
        with ExitStack() as stack:
            many = stack.enter_context(node())
            syncs.append(sync.run(many.node, count, mode))
            if number < _FIRST_SYNCS - 1:
                continue
            doing(f"{name}: connections")
            alone = stack.enter_context(node())
            sync.run(alone.node, 1, mode)
            service = (objects.target_ip(), objects.SERVICE_PORT)
            targets = {
                results.MANY: connections.Target(many.client, *service),
                results.ONE: connections.Target(alone.client, *service),
                results.DIRECTLY: connections.Target(many.client, DIRECT, POD_PORT),
            }
            compared = connections.compare(targets)
    return _with(name, results.of_syncs(syncs) + results.of_connections(compared))


def _as_process(
    services: Sequence[int], mode: ProxyMode, kubeconfig: Path | None, doing: Callable[[str], None]
) -> list[Result]:
    found: list[Result] = []
    with ExitStack() as stack:
        followed = stack.enter_context(node())
        if kubeconfig is None:
            server = stack.enter_context(apiserver.own(followed))
        else:
            server = stack.enter_context(apiserver.other(kubeconfig, followed))
        newcomers.begin(server)
        if kubeconfig is not None:
            stack.callback(newcomers.empty, server)
        there = 0
        for count in services:
            doing(f"{_name(count, mode)}: creating them")
            newcomers.fill(server, there, count)
            there = count
            doing(f"{_name(count, mode)}: one more, and again")
            rows = results.of_process(newcomers.follow(server, followed, mode), server.name)
            found += _with(_name(count, mode), rows)
    return found


def _with(case: str, rows: list[Result]) -> list[Result]:
    return [replace(row, case=case) for row in rows]


def _name(services: int, mode: ProxyMode) -> str:
    return f"{mode}, {services:,}"

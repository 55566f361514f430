"""Letting nodes end their pods before their machines go, as the agents' configuration says.

An agent is told by a signal, and says in a file of the node when it is done (`wellhead.node.shutdown`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable

import msgspec

from wellhead.lab import processes
from wellhead.lab.cluster import Cluster
from wellhead.lab.components import AGENT, NODE

_FILE = "graceful_node_shutdown_state"
_SPARE = 10.0  # seconds beyond what pods have: for statuses, and a busy machine
_LOOK_SECONDS = 0.05


class _State(msgspec.Struct, rename="camel"):
    start_time: str = ""
    end_time: str = ""


def end_pods(
    cluster: Cluster,
    nodes: Iterable[str] | None,
    seconds: float,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[str]:
    """Have these nodes' agents (None: all) end their pods, which have so many seconds for it.

    Returns the nodes that weren't done by then. An agent that doesn't run is none.
    """
    wanted = None if nodes is None else set(nodes)
    agents = {
        process.machine: process
        for process in processes.find(cluster.name)
        if process.component in (AGENT, NODE) and (wanted is None or process.machine in wanted)
    }
    before = {name: _read(cluster, name).start_time for name in agents}
    waiting = [name for name, agent in agents.items() if processes.tell(agent, signal.SIGPWR)]
    deadline = time.monotonic() + seconds + _SPARE
    while waiting and time.monotonic() < deadline:
        report("ending pods", len(agents) - len(waiting), len(agents))
        time.sleep(_LOOK_SECONDS)
        states = {name: _read(cluster, name) for name in waiting}
        waiting = [
            name
            for name, state in states.items()
            if not (state.end_time and state.start_time != before[name])
            and processes.inspect(agents[name].pid) is not None
        ]
    return waiting


def _read(cluster: Cluster, node: str) -> _State:
    try:
        return msgspec.json.decode((cluster.node_directory(node) / _FILE).read_bytes(), type=_State)
    except (OSError, msgspec.DecodeError):
        return _State()

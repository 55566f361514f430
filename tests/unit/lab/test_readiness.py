"""Waiting for a cluster, as told by its supervisor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import msgspec
import pytest

from wellhead.lab import readiness
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.readiness import NotReady, Progress
from wellhead.lab.state import ComponentState, Snapshot

_SPEC = ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=6443)


class _Cluster:
    """As much of one as is asked for."""

    def __init__(self, directory: Path) -> None:
        self.supervisor_socket = directory / "socket"
        self.supervisor_log = directory / "log"


def _line(running: int) -> bytes:
    components = tuple(
        ComponentState("node-1", f"c-{number}", 100 if number < running else 0, 0.0, 0) for number in range(3)
    )
    return msgspec.json.encode(Snapshot(1, _SPEC, "", (), components)) + b"\n"


async def test_who_was_dropped_for_being_slow_asks_again_and_hears_the_last_word(tmp_path: Path) -> None:
    cluster = _Cluster(tmp_path)
    answers = [_line(1), _line(2)[:-9], _line(3)]
    told: list[Progress] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))
        if not answers:
            server.close()
            cluster.supervisor_socket.unlink()  # it ends
        writer.close()

    server = await asyncio.start_unix_server(answer, cluster.supervisor_socket)
    waiting = readiness._Waiting(cast(Cluster, cluster), _SPEC, told.append)
    with pytest.raises(NotReady, match="the supervisor ended"):
        await waiting._follow_supervisor()
    assert [each.components for each in told] == [1, 3]

"""Writing a pod's status."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tests.patience import PATIENCE, reached
from tests.unit.node import pods
from wellhead.api.errors import NotFound
from wellhead.api.resources import PODS
from wellhead.client.rest import Client, ConnectionLost
from wellhead.node.pods.status_writer import StatusWriter


class _Server:
    """Takes patches; `troubles` are raised first, one a call."""

    def __init__(self, *troubles: Exception) -> None:
        self.written: list[dict[str, Any]] = []
        self.calls = 0
        self.pod = pods.pod()
        self._troubles = list(troubles)

    async def patch(self, resource: object, name: str, body: dict[str, Any], *_: Any, **__: Any) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        if self._troubles:
            raise self._troubles.pop(0)
        assert body["metadata"] == {"uid": "u-1"}
        self.written.append(body["status"])
        return self.change(**body["status"])

    def change(self, **status: Any) -> dict[str, Any]:
        """The pod with another status, and another version."""
        metadata = self.pod["metadata"] | {"resourceVersion": str(self.calls + 100)}
        self.calls += 1
        self.pod = {**self.pod, "metadata": metadata, "status": self.pod["status"] | status}
        return self.pod


async def _run(server: _Server, *statuses: dict[str, Any]) -> StatusWriter:
    writer = StatusWriter(cast(Client, server), pods.pod())
    task = asyncio.ensure_future(writer.run())
    for status in statuses:
        writer.set(status)
    async with asyncio.timeout(PATIENCE):
        await writer.flushed()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return writer


async def test_only_the_newest_status_is_written() -> None:
    server = _Server()
    await _run(server, {"phase": "Pending"}, {"phase": "Running"})
    assert server.written == [{"phase": "Running"}]


async def test_what_is_about_to_pass_is_not_written() -> None:
    server = _Server()
    writer = StatusWriter(cast(Client, server), pods.pod())
    task = asyncio.ensure_future(writer.run())
    writer.set({"phase": "Running", "ready": False}, passing=True)
    await asyncio.sleep(0)
    assert server.calls == 0
    writer.set({"phase": "Running", "ready": True})
    async with asyncio.timeout(60):
        await writer.flushed()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.written == [{"phase": "Running", "ready": True}]


async def test_what_others_write_over_it_is_put_back() -> None:
    server, ready = _Server(), {"type": "Ready", "status": "True"}
    writer = StatusWriter(cast(Client, server), server.pod)
    task = asyncio.ensure_future(writer.run())
    writer.set({"phase": "Running", "conditions": [ready]})
    async with asyncio.timeout(60):
        await writer.flushed()
        earlier = server.pod
        theirs = {"type": "theirs", "status": "True"}
        writer.look(server.change(conditions=[ready, theirs], nominatedNodeName="n"))
        assert len(server.written) == 1  # that is for others to write
        writer.look(server.change(phase="Pending", conditions=[{**ready, "status": "False"}]))
        writer.look(earlier)
        await writer.flushed()
        writer.look(server.change(phase="Failed"))
        await writer.flushed()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.written[1:] == [{"phase": "Running", "conditions": [ready]}]


async def test_a_lost_server_is_tried_again() -> None:
    server = _Server(ConnectionLost("away"), ConnectionLost("away"))
    await _run(server, {"phase": "Running"})
    assert server.written == [{"phase": "Running"}]


async def test_a_pod_that_is_gone_is_not_insisted_on() -> None:
    server = _Server(NotFound.of(PODS, "web"))
    await _run(server, {"phase": "Running"})
    assert server.calls == 1


async def test_that_a_pod_is_being_made_is_said_when_it_takes_long() -> None:
    server = _Server()
    writer = StatusWriter(cast(Client, server), pods.pod())
    task = asyncio.ensure_future(writer.run())
    state = {"waiting": {"reason": "ContainerCreating"}}
    status = {"phase": "Pending", "containerStatuses": [{"state": state}]}
    writer.set(status)
    await reached(lambda: server.written == [status])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_comes_of_it_is_said_at_once_and_alone() -> None:
    server = _Server()
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    made = {"phase": "Pending", "containerStatuses": [{"state": waiting}]}
    for status in (
        {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]},
        {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
        {"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]},
    ):
        server.written.clear()
        await _run(server, made, status)
        assert server.written == [status]


async def test_nothing_is_written_of_a_pod_that_is_gone() -> None:
    server = _Server()
    writer = StatusWriter(cast(Client, server), pods.pod())
    writer.set({"phase": "Failed"})
    writer.forget()
    task = asyncio.ensure_future(writer.run())
    await writer.flushed()
    assert server.calls == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

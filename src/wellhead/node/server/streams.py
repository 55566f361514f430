"""/exec/… and /attach/… over WebSocket or SPDY."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import web

from wellhead.api.query import is_true
from wellhead.node.runtime import execs
from wellhead.node.runtime.attach import Attachment, resize_terminal
from wellhead.node.runtime.containers import RuntimeFailure
from wellhead.node.runtime.operations import Operations
from wellhead.node.server import channels, log_files, requests
from wellhead.node.server.channels import STDERR, STDOUT, Channels, Input
from wellhead.node.server.spdy_channels import SpdyChannels, channels_for
from wellhead.waiting import first_of

Session = Channels | SpdyChannels

COMMANDS = web.AppKey("commands", set[asyncio.Task[None]])
_AFTER_THE_CLIENT = 30.0  # seconds that a command has to make use of its input


async def exec_command(request: web.Request) -> web.StreamResponse:
    """Run a command in a container. When the client leaves, its input ends, and soon the command does.

    On a terminal it ends at once, as if that were hung up.
    """
    target = requests.running(request)
    command = tuple(request.query.getall("command", []))
    if not command:
        raise web.HTTPBadRequest(text="you must specify at least one command for the container")
    tty, stdin = is_true(request.query, "tty"), is_true(request.query, "input")
    requests.needs_upgrade(request)
    session = channels_for(request)
    await session.open(request)
    runtime = requests.services(request).context.runtime
    running = execs.Exec(runtime, target.attempt.id, target.bundle, command, tty=tty, stdin=stdin)
    commands = request.app[COMMANDS]
    # A client that leaves ends what it asked for, but not at once.
    task = asyncio.create_task(_measured(runtime.operations, _run(session, running, tty=tty)))
    commands.add(task)
    task.add_done_callback(commands.discard)
    await asyncio.shield(task)
    return session.response


async def _measured(operations: Operations, work: Coroutine[Any, Any, None]) -> None:
    with operations.measured("exec"):
        await work


async def _run(session: Session, running: execs.Exec, *, tty: bool) -> None:
    try:
        async with running, asyncio.TaskGroup() as group:
            listening = group.create_task(_feed_exec(session, running))
            showing = group.create_task(_show_exec(session, running, tty=tty))
            await asyncio.wait({listening, showing}, return_when=asyncio.FIRST_COMPLETED)
            if not showing.done():
                if not tty:
                    # Some leave as soon as they have sent what there is to send: it is made use of.
                    running.end_input()
                    await asyncio.wait({showing}, timeout=_AFTER_THE_CLIENT)
                showing.cancel()
                return
            status = await _exec_status(running)
            listening.cancel()
    except (RuntimeFailure, OSError) as error:
        status = channels.failure(str(error))
    await session.finish(status)


async def owner_of_commands(app: web.Application) -> AsyncIterator[None]:
    """Commands whose clients have left end with the server."""
    commands: set[asyncio.Task[None]] = set()
    app[COMMANDS] = commands
    yield
    for each in commands:
        each.cancel()
    await asyncio.gather(*commands, return_exceptions=True)


async def _exec_status(running: execs.Exec) -> dict[str, object]:
    try:
        return channels.exited(await running.wait())
    except RuntimeFailure as error:
        return channels.failure(f"error executing command in container: {error}")


async def _show_exec(session: Session, running: execs.Exec, *, tty: bool) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_pump(running.read_output, session, STDOUT))
        if not tty:
            group.create_task(_pump(running.read_errors, session, STDERR))


async def _feed_exec(session: Session, running: execs.Exec) -> None:
    async for received in session.received():
        if not isinstance(received, Input):
            running.resize(received.rows, received.columns)
        elif received.data:
            await running.write(received.data)
        else:
            running.end_input()


async def _pump(read: Callable[[], Awaitable[bytes]], session: Session, channel: int) -> None:
    """Pass on what there is to read until it ends. If the client is gone, it goes nowhere."""
    there = True
    while data := await read():
        if there:
            try:
                await session.send(channel, data)
            except ConnectionError:
                there = False


async def attach(request: web.Request) -> web.StreamResponse:
    """Join a container's own input and output. The container lives on when the client leaves."""
    target = requests.target(request)
    requests.needs_upgrade(request)
    if target.attempt.finished_at:
        # It was too quick for the client, who would have seen all of it: a `kubectl debug -i … -- ps`, say.
        if target.log.exists():
            return await _attach_output(request, target, everything=True)
        session = channels_for(request)
        await session.open(request)
        await session.finish(channels.success())
        return session.response
    if is_true(request.query, "input") and target.container.get("stdin"):
        return await _attach_with_input(request, target)
    return await _attach_output(request, target)


async def _attach_with_input(request: web.Request, target: requests.Target) -> web.StreamResponse:
    runtime = requests.services(request).context.runtime
    session = channels_for(request)
    try:
        async with Attachment(runtime.attach_socket(target.attempt.id), target.bundle) as attachment:
            await session.open(request)
            await first_of(_feed_attachment(session, attachment, target), _show(session, attachment))
    except OSError as error:
        if session.response.prepared:
            await session.finish(channels.failure(str(error)))
            return session.response
        raise web.HTTPBadRequest(text=f"can't attach to container {target.name}: {error}") from None
    await session.finish(channels.success())
    return session.response


async def _feed_attachment(session: Session, attachment: Attachment, target: requests.Target) -> None:
    """Until the client is gone, or has ended a terminal's input: by kubectl's detach keys, say."""
    async for received in session.received():
        try:
            if not isinstance(received, Input):
                attachment.resize(received.rows, received.columns)
            elif received.data:
                await attachment.send(received.data)
            elif target.container.get("tty"):
                return
            else:
                attachment.end_input()
        except OSError:
            return  # the container has ended


async def _show(session: Session, attachment: Attachment) -> None:
    while True:
        is_error, data = await attachment.receive()
        if not data:
            return
        try:
            await session.send(STDERR if is_error else STDOUT, data)
        except ConnectionError:
            return


async def _until_gone(work: Coroutine[Any, Any, None]) -> None:
    """Do what sends to the client, until it is done or the client is gone."""
    with contextlib.suppress(ConnectionError):
        await work


async def _attach_output(
    request: web.Request, target: requests.Target, *, everything: bool = False
) -> web.StreamResponse:
    """Output only, what comes from now on, or `everything`.

    From the log, since leaving conmon's socket would end the input of a `stdinOnce`.
    """
    session = channels_for(request)
    await session.open(request)
    follower = log_files.Follower(target.log, lambda: bool(target.attempt.finished_at))

    async def show() -> None:
        options = log_files.Options(follow=True, tail=None if everything else 0)
        async for entries in follower.entries(options, requests.services(request).inotify):
            for entry in entries:
                line = log_files.parse(entry)
                if line is not None:
                    await session.send(STDERR if line.stream == b"stderr" else STDOUT, line.data)

    async def resize() -> None:
        async for received in session.received():
            if not isinstance(received, Input) and target.container.get("tty"):
                resize_terminal(target.bundle, received.rows, received.columns)

    with target.state.listen(follower.wake.set):
        await first_of(_until_gone(show()), resize())
    await session.finish(channels.success())
    return session.response

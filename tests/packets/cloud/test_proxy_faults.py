"""What is killed of the terminating proxy comes back, and meanwhile nobody who connects is refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packets.cloud.backend import Answer
from tests.patience import reached
from wellhead.cloud.haproxy import commands

if TYPE_CHECKING:
    from tests.packets.cloud.proxied import World

pytestmark = pytest.mark.cluster

_EVERY_SECONDS = 0.02
_KILLS = 4
_ENOUGH = 50  # answers, for those that are missing to tell something


@dataclass
class Crowd:
    """What became of the connections of clients that keep coming."""

    came: int = 0
    under_way: int = 0
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # no connection
    lost: Counter[str] = field(default_factory=Counter)  # it ended without an answer


@contextlib.asynccontextmanager
async def crowd(world: World, *vips: str) -> AsyncIterator[Crowd]:
    """Clients that come to each of these all the time; all of them have been served at the end."""
    found = Crowd()

    async def ask(vip: str) -> None:
        found.came += 1
        found.under_way += 1
        try:
            answer = await world.get(vip)
        except (ConnectionRefusedError, TimeoutError) as error:
            found.refused[repr(error)] += 1
        except (OSError, EOFError) as error:
            found.lost[repr(error)] += 1
        else:
            assert isinstance(answer, Answer)
            found.answered += 1
        finally:
            found.under_way -= 1

    async def come() -> None:
        async with asyncio.TaskGroup() as group:
            while not done.is_set():
                for vip in vips:
                    group.create_task(ask(vip))
                await asyncio.sleep(_EVERY_SECONDS)

    done = asyncio.Event()
    coming = asyncio.ensure_future(come())
    try:
        yield found
    finally:
        done.set()
        await coming


async def killed(world: World, whom: str, clients: Crowd) -> int:
    """Kill it, and wait for the next, which knows its sockets; how many clients it may have taken along."""
    proxy = world.control.status()["proxy"]
    worker = (await commands.processes(world.control.state / "master.sock")).worker
    victim = {"worker": worker, "master": proxy["pid"], "keeper": proxy["keeper"]}[whom]
    came, waiting = clients.came, clients.under_way
    os.kill(victim, signal.SIGKILL)
    if whom != "keeper":
        await reached(lambda: not Path(f"/proc/{worker}/root").exists())
        waiting += clients.came - came

    def replaced() -> bool:
        now = world.control.status()["proxy"]
        changed = "keeper" if whom == "keeper" else "pid"
        return now[changed] not in (None, proxy[changed]) and now["kept"]

    await world.control.until(replaced)
    return waiting


@pytest.mark.parametrize("whom", ["master", "worker", "keeper"])
async def test_nobody_is_refused_while_a_part_of_the_proxy_is_killed_and_replaced(
    world: World, whom: str
) -> None:
    vips = [await world.service(), await world.service("six", ipFamilies=["IPv6"])]
    waiting = 0
    async with crowd(world, *vips) as clients:
        for _ in range(_KILLS):
            waiting += await killed(world, whom, clients)
            # One that comes late is kept as well.
        vips.append(await world.service("late"))
        await world.control.until(lambda: clients.answered > _ENOUGH)
    async with crowd(world, vips[2]) as late:
        await killed(world, whom, late)
    assert (clients.refused, late.refused) == ({}, {})
    assert clients.answered > _ENOUGH
    # What HAProxy had accepted, and not answered yet, it takes along.
    assert clients.lost.total() <= (0 if whom == "keeper" else waiting)
    print(f"{whom}: {clients}, {late}")


async def test_without_controller_or_haproxy_clients_wait_for_the_next(world: World) -> None:
    vip = await world.service()
    haproxy = world.haproxy()
    worker = (await commands.processes(world.control.state / "master.sock")).worker
    world.control.kill_cloud()
    os.kill(haproxy, signal.SIGKILL)  # its workers follow it
    await world.control.until(lambda: not Path(f"/proc/{worker}/root").exists())
    async with crowd(world, vip) as clients:
        world.control.start_cloud()
        await world.control.until(lambda: world.haproxy() != haproxy)
    assert (clients.refused, clients.lost) == ({}, {})
    assert clients.answered > 0


async def test_a_vip_that_is_given_back_is_not_kept(world: World) -> None:
    vip = await world.service()
    await world.service("other")
    world.control.kubectl("delete", "service", "web")
    # The worker that went before it may take a moment to let go of what it listened on.
    await world.control.until(lambda: vip not in world.control.host.run("ss -Hltn"))
    os.kill(world.haproxy(), signal.SIGKILL)
    world.control.kubectl("delete", "service", "other")
    await world.control.until(lambda: ":80 " not in world.control.host.run("ss -Hltn"))


async def test_the_last_service_goes_while_neither_controller_nor_haproxy_run(world: World) -> None:
    await world.service()
    haproxy = world.haproxy()
    world.control.kill_cloud()
    os.kill(haproxy, signal.SIGKILL)
    world.control.kubectl("delete", "service", "web", "--wait=false")
    world.control.start_cloud()
    await world.control.until(lambda: world.control.status()["loadBalancers"] == [])
    await world.control.until(lambda: not (world.control.state / "haproxy.cfg").exists())
    assert world.control.status()["proxy"]["pid"] is None


@pytest.mark.parametrize("family", ["-4", "-6"])
async def test_a_vip_whose_route_somebody_took_away_is_answered_again(world: World, family: str) -> None:
    vip = await world.service("web", ipFamilies=["IPv4" if family == "-4" else "IPv6"])
    await world.get(vip)
    show = f"ip {family} route show table local proto 90"
    before = world.control.host.run(show)
    assert vip in before
    world.control.host.run(f"ip {family} route flush table local proto 90")
    await world.control.until(lambda: world.control.host.run(show) == before)
    await world.get(vip)

"""Runs the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.leases import LeaseSettings
from wellhead.client.replica import Replica
from wellhead.client.rest import Client
from wellhead.health import Check, Health
from wellhead.health_server import Address, serving
from wellhead.scheduler.pod import DEFAULT_SCHEDULER
from wellhead.scheduler.scheduler import Scheduler


@dataclass(frozen=True)
class Config:
    """How to run the scheduler.

    `kubeconfig` is a path (None: as kubectl finds it). Only pods whose spec.schedulerName is `scheduler_name`
    are scheduled. `health` is where health is told, by plain HTTP; None: nowhere.
    """

    kubeconfig: str | None
    scheduler_name: str = DEFAULT_SCHEDULER
    health: Address | None = None
    lease: LeaseSettings | None = None
    """By which several processes agree on who schedules; None: this is the only one."""


async def run(config: Config) -> None:
    """Schedule until cancelled.

    Raises:
        KubeconfigError: there is no way to find the API server.
        OSError: `config.health` can't be listened on.
        Stuck: only a new process helps.
    """
    async with Client(load(config.kubeconfig), "wellhead-scheduler") as client:
        await serve(client, config)


async def serve(client: Client, config: Config) -> None:
    """Schedule with this client until cancelled."""
    replica = Replica(client, config.lease, lambda: _Scheduling(client, config.scheduler_name))
    async with serving(Health(replica.checks), config.health):
        await replica.run()


class _Scheduling:
    """A scheduler and its events."""

    def __init__(self, client: Client, name: str) -> None:
        self._recorder = EventRecorder(client, name)
        self._scheduler = Scheduler(client, self._recorder, name)

    def checks(self) -> Iterable[Check]:
        return self._scheduler.checks()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            group.create_task(self._scheduler.run())

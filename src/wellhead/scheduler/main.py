"""Runs the scheduler."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client
from wellhead.health import Health
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
    recorder = EventRecorder(client, config.scheduler_name)
    scheduler = Scheduler(client, recorder, config.scheduler_name)
    async with serving(Health(scheduler.checks), config.health), asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        group.create_task(scheduler.run())

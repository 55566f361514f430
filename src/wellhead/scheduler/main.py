"""Runs the scheduler."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client
from wellhead.scheduler.pod import DEFAULT_SCHEDULER
from wellhead.scheduler.scheduler import Scheduler


@dataclass(frozen=True)
class Config:
    """How to run the scheduler.

    `kubeconfig` is a path (None: as kubectl finds it). Only pods whose spec.schedulerName is `scheduler_name`
    are scheduled.
    """

    kubeconfig: str | None
    scheduler_name: str = DEFAULT_SCHEDULER


async def run(config: Config) -> None:
    """Schedule until cancelled."""
    async with Client(load(config.kubeconfig), "wellhead-scheduler") as client:
        await serve(client, config)


async def serve(client: Client, config: Config) -> None:
    """Schedule with this client until cancelled."""
    recorder = EventRecorder(client, config.scheduler_name)
    scheduler = Scheduler(client, recorder, config.scheduler_name)
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        group.create_task(scheduler.run())

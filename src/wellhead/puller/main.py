"""The puller as a component."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from wellhead import health_server
from wellhead.api.well_known import PODS
from wellhead.client.connection import load
from wellhead.client.informer import TypedInformer, watches
from wellhead.client.rest import Client
from wellhead.health import Health
from wellhead.images.bounds import DEFAULT, Bounds
from wellhead.images.programs import Stop
from wellhead.images.pull import REGISTRIES, Options, pull
from wellhead.images.registry.credentials import Login
from wellhead.images.store import ImageStore
from wellhead.puller.puller import Puller
from wellhead.puller.wants import read


@dataclass(frozen=True)
class Config:
    """`kubeconfig` is a path (None: as kubectl finds it); `registries` as `images.pull.Options` has it."""

    kubeconfig: str | None
    image_dir: Path
    registries: Path = REGISTRIES
    bounds: Bounds = DEFAULT
    health: health_server.Address | None = None


async def run(config: Config) -> None:
    """Run until cancelled. Raises KubeconfigError, OSError."""
    store = ImageStore(config.image_dir)
    options = Options(registries=config.registries, bounds=config.bounds)

    def get(image: str, logins: tuple[Login, ...], stop: Stop) -> None:
        pull(store, image, logins, options, stop=stop)

    async with Client(load(config.kubeconfig), user_agent="wellhead-image-puller") as client:
        pods = TypedInformer(client, PODS, read)
        puller = Puller(client, pods, get)
        checks = [watches(pods)]
        async with (
            health_server.serving(Health(lambda: checks), config.health),
            asyncio.TaskGroup() as group,
        ):
            group.create_task(pods.run())
            group.create_task(puller.run())

"""`wellhead image-puller`: pulls the images that a cluster's pods wait for."""

from __future__ import annotations

from pathlib import Path

import click

from wellhead import component, ports
from wellhead.cli.options import health_option, logging_options
from wellhead.component import LogFormat
from wellhead.images.pull import REGISTRIES
from wellhead.puller.main import Config, run


@click.command("image-puller", short_help="Pull the images that a cluster's pods wait for.")
@click.option("--kubeconfig", help="How to reach the API server; without it, as kubectl finds it.")
@click.option(
    "--image-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default="/var/cache/wellhead/images",
    show_default=True,
    help="Where images are kept.",
)
@click.option(
    "--registries",
    type=click.Path(path_type=Path, dir_okay=False),
    default=REGISTRIES,
    show_default=True,
    metavar="FILE",
    help="Mirrors, and registries that speak plain HTTP: a containers-registries.conf(5).",
)
@health_option(ports.PULLER_HEALTH)
@logging_options
def command(
    kubeconfig: str | None,
    image_dir: Path,
    registries: Path,
    healthz_bind_address: tuple[str, int] | None,
    log_level: str,
    log_format: LogFormat,
) -> None:
    """Pull what agents ask for in their pods' status (conditions pull.wellhead.dev/CONTAINER).

    It runs where there is a way to the outside, and where the agents' images are.
    """
    config = Config(kubeconfig, image_dir, registries, health=healthz_bind_address)
    component.run("image-puller", run(config), log_level=log_level, log_format=log_format)

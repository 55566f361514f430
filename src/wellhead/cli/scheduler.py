"""`wellhead scheduler`: run the scheduler."""

from __future__ import annotations

from typing import Any

import click

from wellhead import component, ports
from wellhead.cli.leases import lease_of, lease_options
from wellhead.cli.options import health_option, logging_options
from wellhead.component import LogFormat
from wellhead.scheduler.main import Config, run
from wellhead.scheduler.pod import DEFAULT_SCHEDULER


@click.command(name="scheduler")
@click.option("--kubeconfig", help="How to reach the API server; without it, as kubectl finds it.")
@click.option(
    "--scheduler-name",
    default=DEFAULT_SCHEDULER,
    show_default=True,
    help="Which pods to schedule: those whose spec.schedulerName is this.",
)
@lease_options("kube-scheduler", "off unless asked for")
@health_option(ports.HEALTH["scheduler"])
@logging_options
def command(
    kubeconfig: str | None,
    scheduler_name: str,
    healthz_bind_address: tuple[str, int] | None,
    log_level: str,
    log_format: LogFormat,
    **leader_elect: Any,
) -> None:
    """Run the scheduler: give each pending pod a node."""
    config = Config(
        kubeconfig=kubeconfig,
        scheduler_name=scheduler_name,
        health=healthz_bind_address,
        lease=lease_of(leader_elect),
    )
    component.run("scheduler", run(config), log_level=log_level, log_format=log_format)

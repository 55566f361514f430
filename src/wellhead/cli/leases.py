"""Leader election as options, named as kube-controller-manager's are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from wellhead.client.leases import LeaseSettings

F = TypeVar("F", bound=Callable[..., Any])


def lease_options(name: str, default: str) -> Callable[[F], F]:
    """Add --leader-elect…, passed as `leader_elect…`: None when neither on nor off was asked for.

    `name` is the Lease's, `default` says what None means.
    """
    options = (
        click.option(
            "--leader-elect/--no-leader-elect",
            default=None,
            help=f"Whether this is one of several, of which one acts: {default}.",
        ),
        click.option(
            "--leader-elect-lease-duration",
            type=click.FloatRange(min=1),
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="After how long without a sign of life the leader is replaced. It renews its lease six times"
            " as often, and stops if that has failed for two thirds of this.",
        ),
        click.option(
            "--leader-elect-resource-namespace",
            default="kube-system",
            show_default=True,
            metavar="NAMESPACE",
            help="Where the Lease is.",
        ),
        click.option(
            "--leader-elect-resource-name",
            default=name,
            show_default=True,
            metavar="NAME",
            help="What the Lease is called.",
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def lease_of(options: dict[str, Any]) -> LeaseSettings | None:
    """Which Lease to hold, None to act in any case; takes the options out."""
    asked = options.pop("leader_elect")
    settings = LeaseSettings(
        options.pop("leader_elect_resource_namespace"),
        options.pop("leader_elect_resource_name"),
        options.pop("leader_elect_lease_duration"),
    )
    return settings if asked else None

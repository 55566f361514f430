"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def logging_options(command: F) -> F:
    """Add --log-level and --log-format, passed as `log_level` and `log_format`."""
    command = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How a log line is written.",
    )(command)
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        help="The least severe level that is logged.",
    )(command)


def cluster_option(command: F) -> F:
    """Add --name, the cluster's name, passed as `name`."""
    return click.option(
        "--name",
        default="wellhead",
        show_default=True,
        envvar="WELLHEAD_NAME",
        show_envvar=True,
        help="The cluster's name.",
    )(command)


def output_option(command: F) -> F:
    """Add -o/--output, passed as `output`: None for people, "json" for programs."""
    return click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON instead of text.")(
        command
    )

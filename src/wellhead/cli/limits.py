"""The bounds of `wellhead apiserver` as options, made from `api.limits`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import click

from wellhead.api.limits import DEFAULTS, Limits

F = TypeVar("F", bound=Callable[..., Any])


def limit_options(command: F) -> F:
    """Add an option for each of the Limits, passed as `max_…`."""
    for field in reversed(dataclasses.fields(Limits)):
        default = getattr(DEFAULTS, field.name)
        whole = isinstance(default, int)
        command = click.option(
            f"--max-{field.name.replace('_', '-')}",
            type=click.IntRange(1) if whole else click.FloatRange(0, min_open=True),
            metavar="N",
            default=default,
            show_default=True,
            help=field.metadata["help"],
        )(command)
    return command


def limits_of(options: dict[str, Any]) -> Limits:
    """The Limits that the options say; takes them out."""
    return Limits(**{field.name: options.pop(f"max_{field.name}") for field in dataclasses.fields(Limits)})

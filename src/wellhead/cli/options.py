"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

import click

from wellhead.api.duration import Duration
from wellhead.ip import IPAddress, IPNetwork

F = TypeVar("F", bound=Callable[..., Any])


class Address(click.ParamType[IPAddress]):
    """An IP address."""

    name = "ip"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> IPAddress:
        try:
            return ip_address(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Network(click.ParamType[IPNetwork]):
    """An IP network, without bits of a host's."""

    name = "network"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> IPNetwork:
        try:
            return ip_network(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.ParamType[float]):
    """A duration as Go spells it, like 1m30s. `positive`: more than none, and a bare number will do."""

    name = "duration"

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        try:
            seconds = Duration.parse(f"{text}s" if self._positive and text.isdecimal() else text).seconds
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds < 0 or (self._positive and not seconds):
            self.fail(f"{text!r} is not a {'positive ' * self._positive}duration such as 1m30s", param, ctx)
        return seconds


class BindAddress(click.ParamType[tuple[str, int]]):
    """Where to listen, as (host, port)."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


def built_in_images_option(command: F) -> F:
    """Add --image-dir, passed as `image_dir`: where programs are found that aren't installed."""
    return click.option(
        "--image-dir",
        type=click.Path(path_type=Path),
        default=Path("/var/cache/wellhead/images"),
        show_default=True,
        help="Where `wellhead image build` has put the built-in images.",
    )(command)


def health_option(port: int) -> Callable[[F], F]:
    """Add --healthz-bind-address, passed as `healthz_bind_address`: (host, port), or None for nowhere."""
    return click.option(
        "--healthz-bind-address",
        type=BindAddress(),
        default=f"127.0.0.1:{port}",
        show_default=True,
        metavar="HOST:PORT",
        callback=lambda context, parameter, value: value if value[1] else None,
        help="Where /healthz, /livez, /readyz and /metrics are served by HTTP; port 0: nowhere.",
    )


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


def boolean_option(name: str, *, default: bool, text: str) -> Callable[[F], F]:
    """Add an option that is given alone, or with a value as Go's flags may have one: --name=false."""
    return click.option(
        f"--{name}",
        type=bool,
        is_flag=False,
        flag_value=True,
        default=default,
        show_default=True,
        metavar="[BOOLEAN]",
        help=text,
    )

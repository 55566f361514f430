"""The options of `wellhead proxy` about how packets travel between nodes with their clients' addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import click

from wellhead.linux.numbers import RETURN_MARKS
from wellhead.proxy.symmetric_return.settings import PATHS, PathChoice, ReturnSettings

C = TypeVar("C", bound=click.Command)
_DEFAULT = ReturnSettings()


class _Mask(click.ParamType[int]):
    """A number, decimal or in hexadecimal with 0x."""

    name = "mask"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value, 0) if isinstance(value, str) else int(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)


@dataclass(frozen=True)
class ReturnOptions:
    """What was given."""

    path: PathChoice
    mark_mask: int
    vni: int
    port: int

    @property
    def settings(self) -> ReturnSettings:
        """All but the mask, as the proxy takes them."""
        return ReturnSettings(self.path, self.vni, self.port)


def taken(flags: dict[str, Any]) -> ReturnOptions:
    """Take these options out of all."""
    return ReturnOptions(
        flags.pop("symmetric_return_path"),
        flags.pop("symmetric_return_mark_mask"),
        flags.pop("symmetric_return_vxlan_id"),
        flags.pop("symmetric_return_vxlan_port"),
    )


def symmetric_return_options(command: C) -> C:
    """Add the options."""
    command.params += [
        click.Option(
            ["--symmetric-return-path"],
            type=click.Choice(PATHS),
            default=_DEFAULT.path,
            show_default=True,
            help="How packets that keep their client's address, and the replies, travel between nodes: on the"
            " link that two nodes share, through a VXLAN tunnel, by whichever is possible, or not at all.",
        ),
        click.Option(
            ["--symmetric-return-mark-mask"],
            type=_Mask(),
            default=hex(RETURN_MARKS),
            show_default=True,
            help="The bits of packet and connection marks that this may use: neighbours, six or more, none of"
            " which anything else on the node uses.",
        ),
        click.Option(
            ["--symmetric-return-vxlan-id"],
            type=click.IntRange(1, 0xFFFFFF),
            default=_DEFAULT.vni,
            show_default=True,
            help="The tunnel's VXLAN network identifier, the same on all nodes.",
        ),
        click.Option(
            ["--symmetric-return-vxlan-port"],
            type=click.IntRange(1, 65535),
            default=_DEFAULT.port,
            show_default=True,
            help="The tunnel's UDP port, the same on all nodes.",
        ),
    ]
    return command

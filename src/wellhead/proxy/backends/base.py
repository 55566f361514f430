"""What the proxy asks of a backend."""

from __future__ import annotations

from typing import Protocol

from wellhead.ip import IPNetwork
from wellhead.services.node_view import ViewDiff


class BackendError(Exception):
    """The kernel did not take the rules. The message says what was refused."""


class Backend(Protocol):
    """Keeps one node's kernel in the state that a view describes."""

    @property
    def mode(self) -> str:
        """The proxy mode's name, as `--proxy-mode` and `/proxyMode` spell it."""

    async def apply(self, diff: ViewDiff) -> None:
        """Take in what changed and bring the kernel there.

        The first call is given the whole view: it adopts what the kernel holds already and changes only what
        differs, so that a restarted proxy interrupts nothing. A diff that failed need not be given again:
        the next call, whatever its diff, makes up for it.

        Raises:
            BackendError: the kernel is in its former state or between the two; call again.
        """

    async def check(self) -> bool:
        """Put back what others changed or removed since. Returns whether there was anything.

        Raises:
            BackendError: as `apply`.
        """

    async def changed(self) -> None:
        """Wait until others have changed something, and `check` is due. For ever, if the kernel can't tell.

        Raises:
            BackendError: there is no way to listen; call again.
        """

    async def set_service_ranges(self, ranges: tuple[IPNetwork, ...]) -> None:
        """ClusterIPs come from these networks now.

        Raises:
            BackendError: as `apply`.
        """

    async def remove_leftovers(self) -> None:
        """Remove what this mode left behind under other settings, once its own rules are in force.

        Raises:
            BackendError: something is left.
        """

    async def cleanup(self) -> None:
        """Remove everything that this mode, in this or an earlier process, may have installed.

        Raises:
            BackendError: something is left.
        """

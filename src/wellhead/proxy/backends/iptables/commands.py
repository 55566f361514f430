"""Running iptables-save and iptables-restore."""

from __future__ import annotations

import os
import re
import shutil
from typing import Literal

from wellhead.ip import Family
from wellhead.linux import programs
from wellhead.proxy.backends.base import BackendError

Variant = Literal["auto", "nft", "legacy"]
"""Which of the two iptables: `auto` is whichever the plain name `iptables` stands for on this machine."""

LOCK_SECONDS = 30
"""How long iptables waits for others to release the tables (legacy only; the nft variant needs no lock)."""


class Commands:
    """The iptables programs of one variant and family."""

    def __init__(self, family: Family, variant: Variant = "auto") -> None:
        self._plain = family.iptables
        self._name = self._plain if variant == "auto" else f"{self._plain}-{variant}"
        self._variant = variant

    def __str__(self) -> str:
        return self._name

    def missing(self) -> bool:
        """Whether the programs are not installed."""
        return any(shutil.which(f"{self._name}-{each}") is None for each in ("save", "restore"))

    async def other(self, family: Family) -> Commands:
        """The programs of the other variant.

        Raises:
            BackendError: iptables can't be run.
        """
        return Commands(family, "legacy" if await self.writes_nftables() else "nft")

    async def writes_nftables(self) -> bool:
        """Whether this is the nft variant.

        Raises:
            BackendError: iptables can't be run.
        """
        if self._variant == "auto":
            return "nf_tables" in await self._run(self._plain, "--version")
        return self._variant == "nft"

    async def save(self, *tables: str) -> str:
        """The rules in some tables, as iptables-save prints them; without names: in those that exist.

        Naming a table makes the legacy variant create it.

        Raises:
            BackendError: iptables-save failed.
        """
        program = f"{self._name}-save"
        if not tables:
            return await self._run(program)
        return "".join([await self._run(program, "-t", table) for table in tables])

    async def restore(self, text: str) -> None:
        """Put `text` in force, table by table, each in one step; what it does not name stays as it is.

        Raises:
            BackendError: a table was refused, naming the line; it and those after it are as before.
        """
        await self._run(f"{self._name}-restore", "--noflush", f"--wait={LOCK_SECONDS}", text=text)

    async def _run(self, *command: str, text: str = "") -> str:
        # The input is complete before the program starts: nothing to feed, and nothing to race with its end.
        with os.fdopen(os.memfd_create("rules"), "w+b") as rules:
            rules.write(text.encode())
            rules.seek(0)
            try:
                # Cancelled, it is killed. Each table is replaced in one step, or not yet: there is no
                # half-done restore to wait for.
                done = await programs.run(*command, stdin=rules.fileno())
            except FileNotFoundError as error:
                raise BackendError(f"{command[0]} is not installed") from error
        if done.code:
            raise BackendError(_message(command[0], done.errors.decode(errors="replace"), text))
        return done.output.decode()


def _message(program: str, errors: str, text: str) -> str:
    """What the program said, with the line of its input that it means."""
    said = " ".join(errors.split("Try `")[0].split()) or "failed without a word"
    number = re.search(r"line:? (\d+)", said)
    lines = text.splitlines()
    if number and 0 < int(number[1]) <= len(lines):
        said += f": {lines[int(number[1]) - 1]}"
    return said if said.startswith(program) else f"{program}: {said}"

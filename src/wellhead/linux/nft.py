"""The `nft` program: run a text, list what is there. These block, for some milliseconds at least.

For tables that change seldom and are small; `linux/nftables` speaks to the kernel itself.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

_SECONDS = 60.0
_MOST_SAID = 1000  # characters


class NftError(Exception):
    """nft refused, or there is none. The message says what it said."""


class NoSuchObject(NftError):
    """What was asked for isn't there."""


def run(text: str, *, started: Callable[[int], None] | None = None) -> None:
    """Put `text` in force, in one transaction: all of it or nothing.

    `started` is told the number of nft's process before it gets the text; its changes come from a netlink
    socket of that port id.
    Raises:
        NftError: nothing has changed.
    """
    _nft("-f", "-", text=text, started=started)


def replacement(family: str, table: str, content: str = "") -> str:
    """The text that puts a table with this content in place of the one that is there; by default, none."""
    # `delete` alone fails if there is none, and newer ones have `destroy`.
    head = f"add table {family} {table}\ndelete table {family} {table}\n"
    return f"{head}table {family} {table} {{\n{content}}}\n" if content else head


def listing(family: str, table: str, *, handles: bool = False) -> str:
    """A table as nft prints it; empty if there is none. With `handles`, and then without what changes by
    itself or by packets: what is in its sets, what its counters say.

    Raises:
        NftError.
    """
    try:
        return _nft(*(["-a", "-s", "-t"] if handles else []), "list", "table", family, table)
    except NoSuchObject:
        return ""


def objects(family: str, table: str, *, terse: bool = False) -> list[dict[str, Any]]:
    """A table as nft's JSON: objects of one key each, see libnftables-json(5). `terse`: without what is in
    its sets.

    Raises:
        NoSuchObject, NftError.
    """
    options = ["-j", "-t"] if terse else ["-j"]
    found: list[dict[str, Any]] = json.loads(_nft(*options, "list", "table", family, table))["nftables"]
    return found


def elements(family: str, table: str, name: str, *, of_map: bool = False) -> list[dict[str, Any]]:
    """A set or a map with what is in it, as nft's JSON.

    Raises:
        NoSuchObject, NftError.
    """
    what = "map" if of_map else "set"
    found: list[dict[str, Any]] = json.loads(_nft("-j", "list", what, family, table, name))["nftables"]
    return found


def _nft(*arguments: str, text: str = "", started: Callable[[int], None] | None = None) -> str:
    try:
        process = subprocess.Popen(
            ["nft", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise NftError(f"nft: {error.strerror}") from error
    with process:
        try:
            if started is not None:
                started(process.pid)
            out, err = process.communicate(text, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise NftError(f"nft: no answer within {_SECONDS:.0f} s") from error
        except BaseException:
            process.kill()
            raise
    if process.returncode == 0:
        return out
    said = " ".join(err.split())[:_MOST_SAID] or f"ended with {process.returncode}"
    if "list" in arguments and "No such file or directory" in said:
        raise NoSuchObject(said)
    raise NftError(f"nft: {said}")

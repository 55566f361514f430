"""The nftables table in the kernel, by the `nft` program: it changes only when nodes come and go."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any, NamedTuple

from wellhead.proxy.symmetric_return.rules import TABLE, VALIDATED

_SECONDS = 10


class TableError(Exception):
    """nft refused, or there is none. The message says what it said."""


class Held(NamedTuple):
    """What an earlier process has left in the table."""

    numbers: dict[str, int]
    """Peers' numbers by their comments."""
    validated: frozenset[str]


def load(text: str) -> None:
    """Put a transaction in force.

    Raises:
        TableError: nothing has changed.
    """
    _nft("-f", "-", stdin=text)


def listing() -> str:
    """The table as nft prints it; empty if there is none."""
    try:
        return _nft("list", "table", "inet", TABLE)
    except NoTable:
        return ""


def held() -> Held | None:
    """What the table says about its makers; None if there is none."""
    try:
        objects = json.loads(_nft("-j", "list", "table", "inet", TABLE))["nftables"]
    except NoTable:
        return None
    numbers = {}
    validated: frozenset[str] = frozenset()
    for each in objects:
        if (rule := each.get("rule")) is not None and (name := rule.get("comment")):
            kind, _, number = rule["chain"].rpartition("-")
            if kind == "zone" and number.isdecimal():
                numbers[name] = int(number)
        elif (found := each.get("set")) is not None and found["name"] == VALIDATED:
            validated = frozenset(_names(found.get("elem") or ()))
    return Held(numbers, validated)


def _names(elements: Iterable[Any]) -> Iterable[str]:
    return (each for each in elements if isinstance(each, str))


class NoTable(TableError):
    """It isn't there."""


def _nft(*arguments: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            ["nft", *arguments], input=stdin, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TableError(f"nft: {error}") from error
    if done.returncode == 0:
        return done.stdout
    said = " ".join(done.stderr.split())
    if "list" in arguments and "No such file or directory" in said:
        raise NoTable(said)
    raise TableError(f"nft: {said}")

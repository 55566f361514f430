"""Kill everything, many times, under load, and say what came of it: `make test-faults`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.cluster.lab import Lab
from tests.faults.frontends import frontends
from tests.faults.kills import kill_under_load
from tests.faults.victims import COMPONENTS, MACHINES, Victim
from tests.faults.writes import killed_under_writes, rows

_NAMESPACE = "default"


@click.command("test-faults")
@click.option("--kills", default=20, show_default=True, help="Kills of each component and machine.")
@click.option("--rate", default=300.0, show_default=True, help="New connections a second, in all.")
@click.option("--each", default=300, show_default=True, help="Connections after each kill.")
@click.option("--api-kills", default=200, show_default=True, help="Kills of the API server under writes.")
@click.option("--only", default="", help="Only those whose names match this (a regular expression).")
@click.option("--proxy-mode", default="nftables", show_default=True)
def main(kills: int, rate: float, each: int, api_kills: int, only: str, proxy_mode: str) -> None:
    """Kill every component and machine of a cluster of its own under load, and print what was lost.

    Exits with 1 if a connection was lost where none need be, or a write or a watch event.
    """
    console = Console(width=min(Console().width, 100))
    lab = Lab(f"faults-{os.getpid()}", proxy_mode)
    wrong = 0
    table = Table("KILLED", *(("TIMES", "ASKED", "LATE", "LOST")), "LOST WHERE", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns[1:5]:
        column.justify = "right"
    with contextlib.ExitStack() as stack:
        status = stack.enter_context(console.status("starting a cluster"))
        stack.callback(lambda: lab.wellhead("down"))
        lab.wellhead("up", "--nodes", "3", "--proxy-mode", proxy_mode)
        with frontends(lab, _NAMESPACE) as found:
            for victim in (each for each in (*COMPONENTS, *MACHINES) if re.search(only, str(each))):
                status.update(f"killing {victim}")
                try:
                    asked = kill_under_load(lab, found, victim, kills, rate, each)
                except AssertionError as error:
                    table.add_row(str(victim), "-", "-", "-", "-", str(error))
                    print(f"{victim}: {error}", flush=True)
                    wrong += 1
                    continue
                lost = asked.lost.total()
                wrong += lost if not victim.loses else 0
                where = ", ".join(f"{kind}: {count}" for kind, count in asked.lost.items() if count)
                numbers = map(str, (kills, asked.count.total(), asked.late.total(), lost))
                table.add_row(str(victim), *numbers, where)
                if lost and not victim.loses:
                    console.print(*asked.words[:5], sep="\n", highlight=False)
                if not console.is_terminal:
                    print(f"{victim}: {kills} kills, {asked.count.total()} asked, {lost} lost", flush=True)
        status.update("killing the API server under writes")
        done = (
            asyncio.run(
                killed_under_writes(
                    Path(lab.kubeconfig),
                    _NAMESPACE,
                    api_kills,
                    partial(Victim("control-plane", "apiserver").kill, lab),
                    lambda n: status.update(f"{n} kills of the API server"),
                )
            )
            if api_kills
            else None
        )
    console.print(table)
    console.print("\nConnections that can't all be saved:")
    for victim in (each for each in (*COMPONENTS, *MACHINES) if each.loses and re.search(only, str(each))):
        console.print(f"  {victim}: {victim.loses}", highlight=False)
    if done is not None:
        writes = Table("WRITES", "", box=None, pad_edge=False)
        writes.columns[1].justify = "right"
        for words, number in rows(done):
            writes.add_row(words, str(number))
        console.print()
        console.print(writes)
        wrong += done.wrong
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

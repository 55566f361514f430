"""Running the commands of levers and of the lesson."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wellhead.page.levers import Command, shown
from wellhead.page.values import Can, Pulled

_SECONDS = 90.0
_MOST_OUTPUT = 16 << 10
_WELLHEAD = (sys.executable, "-P", "-m", "wellhead.cli.main")


def kubectl() -> str | None:
    """Where it is: beside this Python, or in PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl")


def can_change() -> Can:
    """Whether there is what it takes."""
    if kubectl() is None:
        return Can(can=False, why="there is no kubectl, by which changes are made")
    return Can(can=True)


async def pull(commands: Sequence[Command], kubeconfig: str | None) -> Pulled:
    """Run them one after the other, as far as they succeed."""
    output = ""
    done = True
    for command in commands:
        code, said = await _run(_resolved(command, kubeconfig))
        output += said
        if code:
            done = False
            break
    return Pulled(command=shown(tuple(commands)), done=done, output=output[-_MOST_OUTPUT:])


def _resolved(command: Command, kubeconfig: str | None) -> Command:
    program, *arguments = command
    if program == "wellhead":
        return (*_WELLHEAD, *arguments)
    where = ("--kubeconfig", kubeconfig) if kubeconfig else ()
    return (kubectl() or program, *where, *arguments)


async def _run(command: Command) -> tuple[int, str]:
    """What it exits with, and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"not done within {_SECONDS:.0f} s\n"
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    return process.returncode or 0, said.decode(errors="replace")

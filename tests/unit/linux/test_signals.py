"""What a person or a shell told us to ignore or to hold back, programs that we start hear all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from wellhead.linux import signals

_LOOK = "grep -E 'Sig(Ign|Blk)' /proc/self/status"
_STARTS: dict[str, str] = {
    "subprocess": f"import subprocess; subprocess.run(['sh', '-c', {_LOOK!r}], check=True)",
    "asyncio": (
        "import asyncio\n"
        "async def main():\n"
        f"    await (await asyncio.create_subprocess_exec('sh', '-c', {_LOOK!r})).wait()\n"
        "asyncio.run(main())"
    ),
    "uvloop": (
        "import asyncio, uvloop\n"
        "async def main():\n"
        f"    await (await asyncio.create_subprocess_exec('sh', '-c', {_LOOK!r})).wait()\n"
        "uvloop.run(main())"
    ),
    "posix_spawn": (
        f"import os; pid = os.posix_spawn('/bin/sh', ['sh', '-c', {_LOOK!r}], os.environ,"
        " setsigdef=signals.DEFAULT, setsigmask=()); os.waitpid(pid, 0)"
    ),
    "exec": f"import os; signals.reset(); os.execvp('sh', ['sh', '-c', {_LOOK!r}])",
}


def _ignore_and_block() -> None:
    import signal

    for signum in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD})


def _say_nothing() -> None:
    """Whatever nohup or a shell has told these tests."""
    import signal

    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _python(program: str, before: Callable[[], None] = _ignore_and_block) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=before,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    return done.stdout


def _masks(status: str) -> set[int]:
    return {int(line.split()[1], 16) for line in status.splitlines()}


@pytest.mark.parametrize("way", _STARTS)
def test_a_program_begins_as_if_nobody_had_said_anything(way: str) -> None:
    begin = "from wellhead.linux import signals; signals.keep_to_ourselves()\n"
    # glibc's posix_spawn leaves the two signals that are its own ignored.
    internal = 0b11 << 31 if way == "posix_spawn" else 0
    assert {mask & ~internal for mask in _masks(_python(begin + _STARTS[way]))} == {0}


def test_the_c_librarys_own_signals_are_nobodys_to_ignore() -> None:
    inner = f"from wellhead.linux import signals; signals.keep_to_ourselves(); {_STARTS['subprocess']}"
    outer = (
        "import os, sys, threading; threading.Thread(target=print, args=('',)).start(); pid = os.posix_spawn("
        f"sys.executable, [sys.executable, '-c', {inner!r}], os.environ); os.waitpid(pid, 0)"
    )
    assert _masks(_python(outer).strip()) == {0}


def test_without_it_that_would_not_be_so() -> None:
    assert _masks(_python(_STARTS["subprocess"])) != {0}


def test_we_go_on_ignoring_what_we_were_told_to(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import os, signal\nfrom wellhead.linux import signals\nsignals.keep_to_ourselves()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\nprint('alive')"
    )
    assert _python(program) == "alive\n"


def test_a_child_that_stays_python_is_as_a_fresh_one() -> None:
    look = "print(''.join(line for line in open('/proc/self/status') if line[:6] in ('SigIgn', 'SigBlk')))"
    program = f"import os\nfrom wellhead.linux import signals\nsignals.reset_python()\n{look}"
    # Whoever started the tests by glibc's posix_spawn left its own two signals ignored.
    internal = 0b11 << 31
    fresh, child = _python(look, before=_say_nothing).strip(), _python(program).strip()
    assert {mask & ~internal for mask in _masks(child)} == {mask & ~internal for mask in _masks(fresh)}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("sigterm", 15),
        ("15", 15),
        ("SIGIOT", 6),
        ("SIGRTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("RTMIN+31", None),
        ("NONSENSE", None),
        ("0", None),
        ("65", None),
        ("+3", None),
        ("", None),
    ],
)
def test_what_is_written_for_a_signal(text: str, number: int | None) -> None:
    assert signals.number(text) == number

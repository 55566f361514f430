"""Changing what /proc says of this process: its command line and its environment.

A forked component shares its parent's. But who looks at `ps` should see the component, and the environment
tells whose process this is (wellhead.lab.processes). Both are strings at the top of the process' stack; the
supervisor is started with enough padding in each to be overwritten in place. Source: proc(5), fields 48-51
of /proc/PID/stat.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence

from wellhead.linux import proc
from wellhead.linux.syscalls import libc

PADDING = " " * 4000
"""What the supervisor gets as last argument, and in its environment as PADDING_VARIABLE."""
PADDING_VARIABLE = "WELLHEAD_PADDING"

_PR_SET_NAME = 15


def rename(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Make /proc/self/cmdline and /proc/self/environ say this, as far as there is room; never fails for lack.

    What `os.environ` holds, and what child processes inherit, is left alone.
    """
    # The C library's environment points into the area that will be overwritten: move it elsewhere first.
    kept = dict(os.environ)
    for name in kept:
        del os.environ[name]
    os.environ.update(kept)
    bounds = proc.statistics(os.getpid())[45:49]
    arguments_start, arguments_end, environment_start, environment_end = map(int, bounds)
    _overwrite(arguments_start, arguments_end, argv)
    # The first entries are those that must be there: the mapping's order is kept.
    entries = [f"{name}={value}" for name, value in environment.items()]
    _overwrite(environment_start, environment_end, entries)
    libc.prctl(_PR_SET_NAME, " ".join(argv[:2]).encode()[:15], 0, 0, 0)


def _overwrite(start: int, end: int, strings: Sequence[str]) -> None:
    room = end - start
    if room <= 0:
        return
    content = b"".join(string.encode() + b"\0" for string in strings)[: room - 1]
    # In one go, so that nobody reads half of it.
    ctypes.memmove(start, content.ljust(room, b"\0"), room)

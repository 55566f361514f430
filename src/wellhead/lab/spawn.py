"""Starting a component: a fork of the supervisor that moves into a machine and becomes the component.

A fork shares the parent's loaded modules, so a component costs milliseconds and the memory that it changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import NoReturn

from wellhead.lab import processes, seclusion, title
from wellhead.lab.components import INHERITED, PRELOADS, Component
from wellhead.lab.machines import Machine
from wellhead.linux import signals

Main = Callable[[Sequence[str]], None]
"""Runs a component's command line in this process."""

_HIGHEST_DESCRIPTOR = 1 << 20
_COMMON = (
    "wellhead.cli.main",
    "wellhead.component",
    "encodings.idna",  # with the first address to connect to
)


def spawn(
    main: Main,
    component: Component,
    machine: Machine | None,
    cluster: str,
    *,
    log: int,
    inherited: Sequence[int],
    environment: Mapping[str, str],
) -> int:
    """Start a component, on a machine or (None) here, and return its pid.

    It is the caller's child, to be reaped. `log` becomes its standard output and error, `inherited` its
    descriptors from 3 upwards; no other one is passed on.

    Raises:
        ProcessLookupError: the machine is off.
        OSError: the fork failed.
    """
    pid = machine.fork() if machine is not None else os.fork()
    if pid == 0:
        _become(main, component, machine, cluster, log, inherited, environment)
    return pid


def wellhead(argv: Sequence[str]) -> None:
    """Run `wellhead ARGV…` as if typed."""
    # By name, since it is the layer above: what the lab knows of it is the command line.
    main = importlib.import_module("wellhead.cli.main").main
    sys.argv = ["wellhead", *argv]
    main(args=list(argv), prog_name="wellhead")


def preload(component: str) -> list[str]:
    """Load a component's modules, and `warm` those that know how, for its forks to share.

    Returns what couldn't be loaded, and why.

    A component that can't even be imported is no reason to leave the others alone: it will say so itself.
    """
    problems = []
    for module in (*_COMMON, *PRELOADS.get(component, ())):
        try:
            if warm := getattr(importlib.import_module(module), "warm", None):
                warm()
        except Exception as error:
            problems.append(f"{module}: {error}")
    _find_out()
    return problems


def _find_out() -> None:
    """What components will ask of classes in vain: Python keeps answers, and finding one takes pages."""
    asked: Mapping[type, tuple[object, ...]] = {
        Mapping: ([], (each for each in "")),
        Coroutine: (len, _find_out, partial(len)),
        Hashable: ("",),
        Iterable: ([],),
    }
    for which, objects in asked.items():
        for each in objects:
            isinstance(each, which)


def _become(
    main: Main,
    component: Component,
    machine: Machine | None,
    cluster: str,
    log: int,
    inherited: Sequence[int],
    environment: Mapping[str, str],
) -> NoReturn:
    status = 1
    try:
        signals.reset_python()
        os.setsid()
        own = component.belongings
        files = seclusion.read(own) if own is not None else {}
        if machine is not None:
            machine.join()
        if own is not None:
            seclusion.seclude(own, files)
        _keep_only(log, inherited)
        os.chdir("/")
        marks = {processes.CLUSTER: cluster, processes.MACHINE: component.machine}
        for name in list(os.environ):
            del os.environ[name]
        os.environ.update({**environment, **marks})
        # Only this process is the component; what it starts must not be taken for it.
        shown = {**marks, processes.COMPONENT: component.name, **environment}
        title.rename(["wellhead", *component.argv], shown)
        gc.enable()
        main(component.argv)
        status = 0
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: above us on the stack is the supervisor's loop.
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _keep_only(log: int, inherited: Sequence[int]) -> None:
    """Leave open: nothing as input, the log as output, and `inherited` as descriptors from 3 upwards."""
    null = os.open("/dev/null", os.O_RDONLY)
    wanted = [null, log, log, *inherited]
    # Out of the way first: an original may be where the copy of another has to go.
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, 64) for each in wanted]
    for number, each in enumerate(high):
        os.dup2(each, number, inheritable=number < INHERITED)
    os.closerange(len(high), _HIGHEST_DESCRIPTOR)

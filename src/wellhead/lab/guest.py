"""Running a person's command on a machine, in the terminal where it was typed.

Only a child can be in another pid namespace, so the caller stays as its parent: it passes signals on, stops
and continues with it, gives the terminal back, and reports its exit status.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from wellhead.lab import kubeconfigs, machines, processes
from wellhead.lab.cluster import Cluster, LabError
from wellhead.lab.machines import Machine
from wellhead.linux import signals
from wellhead.linux.syscalls import libc

_PR_SET_PDEATHSIG = 1
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell would exit


def find(cluster: Cluster, host: str) -> Machine:
    """The machine called `host`.

    Raises:
        LabError: there is none that is switched on; says which there are.
    """
    running = machines.running(cluster.name)
    machine = running.pop(host, None)
    for other in running.values():
        other.close()
    if machine is not None:
        return machine
    raise LabError(f"there is no host {host} in cluster {cluster.name}: {', '.join(sorted(running))}")


def environment(cluster: Cluster, host: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a command on `host` gets: the caller's environment, with kubectl and the cluster at hand."""
    scripts = str(Path(sys.executable).parent)
    path = inherited.get("PATH") or machines.SYSTEM_PATH
    # A person's PATH may lack the sbin directories, where ip, nft and iptables are.
    extra = [each for each in machines.SYSTEM_PATH.split(":") if each not in path.split(":")]
    return {
        **inherited,
        "PATH": ":".join([scripts, path, *extra]),
        "KUBECONFIG": str(kubeconfigs.for_machine(cluster, host)),
        # `wellhead` commands that are typed there are about this cluster.
        "WELLHEAD_NAME": cluster.name,
        processes.CLUSTER: cluster.name,
        processes.MACHINE: host,
    }


def run(machine: Machine, argv: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command on a machine, in the current directory if it can be reached, and wait for it.

    Returns its exit status as a shell would give it: 128 + N for a command that signal N ended, 127 if it
    isn't found, 126 if it can't be executed.

    Raises:
        LabError: the machine was switched off.
    """
    terminal = _foreground_terminal()
    # The command may run, and somebody press Ctrl-C, before we are ready to leave that to it.
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, (*_FORWARDED, *_TERMINAL))
    try:
        child = machine.fork()
    except ProcessLookupError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
        raise LabError(str(error)) from None
    if child == 0:
        _become(machine, argv, variables)
    previous = _stand_by(child)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
        return _wait(child)
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
        if terminal is not None:
            _take_back(terminal)
            os.close(terminal)


def _become(machine: Machine, argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    status = _NOT_EXECUTABLE
    try:
        signals.reset()
        # A command whose caller was killed has lost its terminal, so to say.
        libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGHUP))
        directory = os.getcwd()
        variables = _with_kubeconfig(variables)
        machine.join()
        try:
            os.chdir(directory)  # joining has moved us to /
        except OSError:
            os.chdir("/")
        os.execvpe(argv[0], list(argv), dict(variables))  # noqa: S606 - a person's own command
    except FileNotFoundError:
        print(f"wellhead: {argv[0]}: command not found on {machine.name}", file=sys.stderr)
        status = _NOT_FOUND
    except OSError as error:
        print(f"wellhead: {argv[0]}: {error.strerror}", file=sys.stderr)
    finally:
        with contextlib.suppress(OSError):  # nobody reads it any more
            sys.stderr.flush()
        os._exit(status)


def _with_kubeconfig(variables: Mapping[str, str]) -> dict[str, str]:
    """The same, with the kubeconfig handed over as an open file: the machine doesn't have it (`seclusion`).

    Its name goes by this process's pid, which the command keeps, for everything that it starts.
    """
    path = variables.get("KUBECONFIG", "")
    try:
        content = Path(path).read_bytes()
    except OSError:
        return dict(variables)
    descriptor = os.memfd_create("kubeconfig", 0)  # not closed by exec
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, content)
    handed = f"/proc/{os.getpid()}/fd/{descriptor}"
    return {name: handed if value == path else value for name, value in variables.items()}


def _stand_by(child: int) -> dict[int, Callable[..., object] | int | None]:
    """Leave the terminal's signals to the child, which gets them too; pass on those that only we get."""

    def forward(signum: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signum)

    previous = {}
    for signum in _TERMINAL:
        previous[int(signum)] = signal.signal(signum, signal.SIG_IGN)
    for signum in _FORWARDED:
        previous[int(signum)] = signal.signal(signum, forward)
    return previous


def _wait(child: int) -> int:
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            # Ctrl-Z: stop where the caller's shell sees it, and go on together.
            os.kill(os.getpid(), signal.SIGSTOP)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
            continue
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code


def _foreground_terminal() -> int | None:
    """The controlling terminal, if this process is in its foreground; the caller closes it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    try:
        if os.tcgetpgrp(terminal) == os.getpgrp():
            return terminal
    except OSError:
        pass
    os.close(terminal)
    return None


def _take_back(terminal: int) -> None:
    """Be the terminal's foreground again: an interactive shell made itself that, and can't give it back
    to a process group outside of its pid namespace."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.tcsetpgrp(terminal, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)

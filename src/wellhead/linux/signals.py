"""What a new program finds: every signal with its default disposition, none blocked.

An ignored signal stays ignored through fork and exec, a blocked one blocked (signal(7)). So what a person, a
shell or `nohup` told *us* would reach every program that we start, and those that these start: a command that
its caller's death should end would go on.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import signal

from wellhead.linux.syscalls import checked, libc

_UNCHANGEABLE = {signal.SIGKILL, signal.SIGSTOP}
# Python ignores these for itself, and gives them back to programs that `subprocess` starts.
_PYTHONS = {signal.SIGPIPE, signal.SIGXFSZ}

_INTERNAL = (32, 33)  # SIGCANCEL and SIGSETXID of glibc
_RT_SIGACTION = 13 if platform.machine() == "x86_64" else 134


class _KernelAction(ctypes.Structure):
    """The kernel's struct sigaction, of which the handler is the first word."""

    _fields_ = (("handler", ctypes.c_ulong), ("rest", ctypes.c_ulong * 3))


_NUMBERS = {
    **{name.removeprefix("SIG"): int(each) for name, each in signal.Signals.__members__.items()},
    **{str(int(each)): int(each) for each in signal.valid_signals()},
    **{f"RTMIN+{each - signal.SIGRTMIN}": each for each in range(signal.SIGRTMIN, signal.SIGRTMAX + 1)},
    **{f"RTMAX-{signal.SIGRTMAX - each}": each for each in range(signal.SIGRTMIN, signal.SIGRTMAX + 1)},
}

DEFAULT = frozenset(signal.valid_signals()) - _UNCHANGEABLE
"""For `setsigdef` of os.posix_spawn; its `setsigmask` is ()."""


def number(text: str) -> int | None:
    """What an image or a person calls `TERM`, `sigterm`, `15` or `SIGRTMIN+3`; None for what is no signal."""
    return _NUMBERS.get(text.upper().removeprefix("SIG"))


def reset() -> None:
    """Defaults and an empty mask, in a child that is about to become another program."""
    _set_defaults(set())


def reset_python() -> None:
    """As `reset`, in a child that goes on as a Python program: as Python's own start leaves it."""
    signal.set_wakeup_fd(-1)
    _set_defaults(_PYTHONS)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def keep_to_ourselves() -> None:
    """At the start of a program: what we shall ignore, programs that we start need not.

    A signal with a handler, even if that does nothing, has its default in them.
    """
    for signum in DEFAULT - _PYTHONS:
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, _nothing)
            signal.siginterrupt(signum, False)
    _free_internal()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _nothing(_signum: int, _frame: object) -> None:
    pass


def _set_defaults(kept: set[signal.Signals]) -> None:
    for signum in DEFAULT - kept:
        with contextlib.suppress(OSError):  # the C library keeps a few to itself
            signal.signal(signum, signal.SIG_DFL)
    _free_internal()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _free_internal() -> None:
    """Take back that the C library's own two signals are ignored, as posix_spawn(3) leaves them.

    The library lets nobody change them; threads of ours that need one have a handler there, which stays.
    """
    now, default = _KernelAction(), _KernelAction()
    for signum in _INTERNAL:
        _sigaction(signum, None, now)
        if now.handler == int(signal.SIG_IGN):
            _sigaction(signum, default, None)


def _sigaction(signum: int, new: _KernelAction | None, old: _KernelAction | None) -> None:
    pointers = [None if action is None else ctypes.byref(action) for action in (new, old)]
    checked(libc.syscall(_RT_SIGACTION, signum, *pointers, ctypes.c_size_t(8)), "rt_sigaction")

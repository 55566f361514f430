"""Python's garbage collector, where it finds nothing.

What is read and compiled by the ten thousand stays: the collector, woken by every few thousand new objects,
goes through all of them in vain, which takes up to a third of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from wellhead import memory


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector, for a block that makes no cycles to speak of. Blocks may overlap."""
    global _blocks
    if _blocks == 0:
        gc.disable()
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1
        if _blocks == 0:
            gc.enable()


_blocks = 0


@contextmanager
def lasting() -> Iterator[None]:
    """For a block that makes what is there to stay, as modules and first lists: it is never looked at."""
    with uncollected():
        yield
        gc.freeze()


_SELDOM = (2_000, 10, 200)
"""By default it looks after 700 new objects, of which nearly all go by themselves.

Whoever asks meanwhile waits for it: so little at a time, and at what is old only after 4,000,000 more.
"""


def settle() -> None:
    """What there is now is there to stay: keep the collector off it, and give back what was used to make it.

    At what comes from now on it looks less often.
    With glibc the memory that is free goes back to the kernel; other C libraries have their own ways.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)
    memory.trim()

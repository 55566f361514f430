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


def settle() -> None:
    """What there is now is there to stay: keep the collector off it, and give back what was used to make it.

    With glibc the memory that is free goes back to the kernel; other C libraries have their own ways.
    """
    gc.collect()
    gc.freeze()
    memory.trim()

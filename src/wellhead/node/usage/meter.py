"""How fast CPU time is used, between two readings: the last one of the past minute, and one now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wellhead.node.usage.reading import Reading, Used

_SHORTEST = 1.0
"""Seconds between two readings. CPU time is counted in hundredths: less would be too coarse."""

_LONGEST = 60.0
"""Seconds after which a reading is too old to tell of the present."""


@dataclass(frozen=True)
class Sample:
    """A reading, and when it was made: on the loop's clock, and as seconds since 1970."""

    at: float
    time: float
    reading: Reading


@dataclass(frozen=True)
class Measured:
    """What was used, and how many cores on average over the last `window` seconds (None: not known yet)."""

    used: Used
    cores: float | None
    window: float


@dataclass(frozen=True)
class Measurement:
    """Everything at one time, in seconds since 1970."""

    time: float
    node: Measured
    containers: Mapping[str, Measured]


class Meter:
    """Reads when somebody asks, at most once a second; whoever asks meanwhile gets the same."""

    def __init__(self, read: Callable[[], Reading], clock: Callable[[], float] = time.time) -> None:
        self._read = read
        self._clock = clock
        self._before: Sample | None = None
        self._last: Sample | None = None
        self._reading = asyncio.Lock()

    async def now(self) -> Reading:
        """What has been used so far."""
        async with self._reading:
            return (await self._sample()).reading

    async def measure(self) -> Measurement:
        """With rates. The first one in a while takes a second."""
        async with self._reading:
            last = await self._sample()
            if self._before is None or last.at - self._before.at > _LONGEST:
                await asyncio.sleep(_SHORTEST)
                last = await self._sample()
            assert self._before is not None
            return compare(self._before, last)

    async def _sample(self) -> Sample:
        loop = asyncio.get_running_loop()
        if self._last is not None and loop.time() - self._last.at < _SHORTEST:
            return self._last
        reading = await asyncio.to_thread(self._read)
        sample = Sample(loop.time(), self._clock(), reading)
        self._before, self._last = self._last, sample
        return sample


def compare(before: Sample, after: Sample) -> Measurement:
    """What was used between the two. Of a container that began in between, nothing is known yet."""
    window = after.at - before.at

    def measured(then: Used | None, now: Used) -> Measured:
        if then is None or window <= 0:
            return Measured(now, None, window)
        return Measured(now, max(0.0, now.cpu - then.cpu) / window, window)

    known = before.reading.containers
    containers = {each: measured(known.get(each), now) for each, now in after.reading.containers.items()}
    return Measurement(after.time, measured(before.reading.node, after.reading.node), containers)

"""New TCP connections through a ClusterIP, among many Services or alone, and to the pod directly."""

from __future__ import annotations

import os
import random
import select
import socket
import statistics
import struct
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.proxy.network import Namespace

_ROUNDS = 1000
_EACH_ROUND = 25
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_GIVE_UP = struct.pack("ll", 5, 0)
_NEXT_SYN = 0.0002  # seconds; a coarser interval would be all that is seen of what takes less
_AT_ONCE = 25  # a SYN that is dropped is sent again after a second: by then others have been


@dataclass(frozen=True)
class Target:
    """Where to connect to, from where."""

    client: Namespace
    address: str
    port: int


@dataclass
class Connections:
    """What connections to one target took."""

    rates: list[float] = field(default_factory=list)
    """A second, by round."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from SYN to SYN/ACK, as `connect` takes them."""

    def percentile(self, percent: int) -> float:
        """Of the latencies, in seconds."""
        return statistics.quantiles(self.latencies, n=100)[percent - 1]

    def ratio(self, to: Connections) -> float:
        """How many connections for one of `to`: the median over rounds, each of which did both."""
        return statistics.median(ours / theirs for ours, theirs in zip(self.rates, to.rates, strict=True))


def compare(targets: Mapping[str, Target]) -> dict[str, Connections]:
    """Connect to each a few times, in any order, again and again: what else goes on hits all of them."""
    order = list(targets.items())
    found = {name: Connections() for name in targets}
    with _pinned():
        _take_turns(order, found)
    return found


@contextmanager
def _pinned() -> Iterator[None]:
    """On one CPU, as the servers are on another: whether the two share one makes a difference of half."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _take_turns(order: list[tuple[str, Target]], found: dict[str, Connections]) -> None:
    for round_number in range(_ROUNDS + 1):
        random.shuffle(order)
        for name, target in order:
            with target.client.entered():
                took, latencies = _connect(target.address, target.port, _EACH_ROUND)
            if round_number:  # the first warms caches
                found[name].rates.append(_EACH_ROUND / took)
                found[name].latencies += latencies


def _connect(address: str, port: int, count: int) -> tuple[float, list[float]]:
    latencies: list[float] = []
    started = time.perf_counter()
    for _ in range(count):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _GIVE_UP)
            begun = time.perf_counter()
            client.connect((address, port))
            latencies.append(time.perf_counter() - begun)
    return time.perf_counter() - started, latencies


def until_accepted(address: str, port: int, within: float) -> None:
    """Try to connect, with a new SYN every fifth of a millisecond, until one is answered.

    Raises:
        TimeoutError: none is, within so many seconds.
    """
    deadline = time.perf_counter() + within
    tries: deque[socket.socket] = deque()
    try:
        while time.perf_counter() < deadline:
            tries.append(_dialling(address, port))
            if len(tries) > _AT_ONCE:
                tries.popleft().close()
            for each in select.select((), tries, (), _NEXT_SYN)[1]:
                if _connected(each):
                    return
                tries.remove(each)
                each.close()
                time.sleep(_NEXT_SYN)
    finally:
        for each in tries:
            each.close()
    raise TimeoutError(f"no connection to {address}:{port} within {within:g} s")


def _dialling(address: str, port: int) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    client.connect_ex((address, port))
    return client


def _connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True

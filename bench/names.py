"""The DNS server alone, with 10,000 Services: processor time an answer, how long one waits, a change.

It answers on loopback in a process of its own; a client asks for 500 Services by the whole search path of a
pod, so that most questions are for names that don't exist.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dns.message

from bench.measure import Result
from wellhead.dns.metrics import Metrics
from wellhead.dns.objects import read_service, read_slice
from wellhead.dns.responder import Responder
from wellhead.dns.server import Server

_SERVICES, _ASKED, _UNDER_WAY = 10_000, 500, 64
_ROUNDS, _TURNS, _CHANGES = 5, 20_000, 2_000
_SEARCH = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "")
_ID = struct.Struct("!H")
Obj = dict[str, Any]


def measure() -> list[Result]:
    """Takes some ten seconds."""
    responder = _responder()
    changing = [_change(responder, number) for number in range(_CHANGES)]
    queries = list(_queries())
    computed, kept = ([_answered(responder, each) for each in queries] for _ in range(2))
    with _served(responder) as (server, pid):
        _ask_all(server, queries)
        rounds = [_burst(server, queries, pid) for _ in range(_ROUNDS)]
        waits = sorted(_waits(server, queries))
    how = f"{_SERVICES} Services; {_ASKED} names by the whole search path, {_UNDER_WAY} under way"
    spent = [each for each, _ in rounds]
    per_second = [1 / each for each in spent]
    return [
        _median("DNS: answers a second of processor time", per_second, "/s", how),
        _median("DNS: processor time of an answer", [1e6 * each for each in spent], "µs", "likewise"),
        _median("DNS: answers a second by the clock", [each for _, each in rounds], "/s", "likewise"),
        _row("DNS: one question after the other, median", 1e6 * statistics.median(waits), "µs"),
        _row("DNS: one question after the other, p99", 1e6 * waits[len(waits) * 99 // 100], "µs"),
        _median("DNS: finding a kept reply", [1e6 * each for each in kept], "µs", "within the process"),
        _median("DNS: an answer that isn't kept", [1e6 * each for each in computed], "µs", "likewise"),
        _median("DNS: taking in a change of a Service", [1e6 * each for each in changing], "µs", "likewise"),
    ]


def _median(name: str, samples: list[float], unit: str, method: str) -> Result:
    return Result(name, statistics.median(samples), unit, f"{method}; median of {len(samples)}")


def _row(name: str, value: float, unit: str) -> Result:
    return Result(name, value, unit, f"{_TURNS} questions by UDP on loopback")


def _responder() -> Responder:
    responder = Responder("cluster.local", ("10.0.0.10",), 7, forwards=False)
    responder.is_ready = True
    responder.zone.namespace_changed(None, "default")
    for number in range(_SERVICES):
        responder.zone.service_changed(None, read_service(_service(number, number)))
        responder.zone.slice_changed(None, read_slice(_slice(number)))
    return responder


def _service(number: int, address: int) -> Obj:
    return {
        "metadata": {"namespace": "default", "name": f"service-{number}"},
        "spec": {
            "clusterIPs": [f"10.{address >> 16}.{address >> 8 & 255}.{address & 255}"],
            "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
        },
    }


def _slice(number: int) -> Obj:
    name = f"service-{number}"
    labels = {"kubernetes.io/service-name": name}
    pods = [{"addresses": [f"10.244.{number >> 8}.{number & 255}"], "conditions": {"ready": True}}] * 2
    return {
        "metadata": {"namespace": "default", "name": name, "labels": labels},
        "addressType": "IPv4",
        "endpoints": pods,
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    }


def _change(responder: Responder, number: int) -> float:
    """A Service gets another address, and its own back."""
    was = read_service(_service(number, number))
    other = read_service(_service(number, number + _SERVICES))

    def there_and_back() -> None:
        responder.zone.service_changed(was, other)
        responder.zone.service_changed(other, was)

    return _seconds(there_and_back) / 2


def _answered(responder: Responder, query: bytes) -> float:
    return _seconds(partial(responder.respond, query, tcp=False))


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _queries() -> Iterator[bytes]:
    for number in range(_ASKED):
        for suffix in _SEARCH:
            name = f"service-{number}.default.{suffix}".rstrip(".") + "."
            yield dns.message.make_query(name, "A", id=0).to_wire()


@contextmanager
def _served(responder: Responder) -> Iterator[tuple[tuple[str, int], int]]:
    """The server in a fork of this process: its address, and its pid."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        address: tuple[str, int] = sock.getsockname()
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(Server([sock], responder, None, Metrics("dns://")).run())
            finally:
                os._exit(1)
        try:
            yield address, pid
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _connected(server: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    sock.connect(server)
    return sock


def _ask_all(server: tuple[str, int], queries: list[bytes]) -> None:
    with _connected(server) as sock:
        for query in queries:
            sock.send(query)
            sock.recv(4096)


def _burst(server: tuple[str, int], queries: list[bytes], pid: int) -> tuple[float, float]:
    """The server's processor time an answer, and answers a second by the clock."""
    with _connected(server) as sock:
        before, begin = _spent(pid), time.perf_counter()
        for number in range(_TURNS + _UNDER_WAY):
            if number >= _UNDER_WAY:
                sock.recv(4096)
            if number < _TURNS:
                sock.send(_ID.pack(number & 0xFFFF) + queries[number % len(queries)][2:])
        taken = time.perf_counter() - begin
        return (_spent(pid) - before) / _TURNS, _TURNS / taken


def _waits(server: tuple[str, int], queries: list[bytes]) -> Iterator[float]:
    with _connected(server) as sock:
        for number in range(_TURNS):
            begin = time.perf_counter()
            sock.send(queries[number % len(queries)])
            sock.recv(4096)
            yield time.perf_counter() - begin


def _spent(pid: int) -> float:
    """Seconds of processor time, to the nanosecond (the first number of schedstat)."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


if __name__ == "__main__":
    for each in measure():
        print(f"{each.name:50} {each.value:10.1f} {each.unit:4} {each.method}")
    print(f"at a load of {os.getloadavg()[0]:.1f}")

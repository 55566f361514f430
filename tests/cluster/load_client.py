"""A crowd of HTTP clients in one process, for `load.py`. Runs on its own: python3 load_client.py

Reads commands from standard input, a line of JSON each, and answers each by a line of JSON:

    {"download": URL, "count": N}   open N downloads at once; how each began
    {"report": null}                how far every download has come
    {"ask": [URL, …], "every": S}   from now on ask for these in turn, each by a connection of its own
    {"count": null}                 how many that are until now
    {"asked": null}                 stop that; how many, in what time, failed and late ones, also by URL
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

_PATIENCE_SECONDS = 60.0
_MOST_OPEN = 2000
_CATCH_UP_SECONDS = 1.0
_LATE_SECONDS = 0.9  # a SYN must have been repeated, after one second


class Download:
    """One GET, read for as long as anything comes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self.received = 0
        self.state = "beginning"
        self.began = asyncio.Event()

    async def run(self) -> None:
        """Ends when the download does; `state` says how."""
        try:
            reader, writer = await begin(self.url)
            try:
                self.headers = await headers(reader)
                self.state = "running"
                self.began.set()
                while chunk := await reader.read(65536):
                    self.received += len(chunk)
                self.state = "complete" if self.received == int(self.headers["content-length"]) else "ended"
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.state = f"{type(error).__name__}: {error}"
        finally:
            self.began.set()

    def told(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "seen": self.headers.get("seen", ""),
            "pod": self.headers.get("pod", ""),
            "received": self.received,
            "state": self.state,
        }


async def begin(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    writer.write(
        f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    )
    return reader, writer


async def headers(reader: asyncio.StreamReader) -> dict[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    if head[0].split()[1] != "200":
        raise ConnectionError(head[0])
    return {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in head[1:-1])}


class Asking:
    """Short requests all the time, each started without waiting for the one before.

    At the rate that was asked for, also where the machine is late; but there are bounds to how many.
    """

    def __init__(self, urls: list[str], every: float) -> None:
        self.urls, self.every, self.began = urls, every, time.monotonic()
        self.open = 0
        self.count: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.failures: list[str] = []
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self.stopping.is_set():
                if self.open < _MOST_OPEN:
                    for url in self.urls:
                        group.create_task(self._ask(url))
                due = max(due + self.every, time.monotonic() - _CATCH_UP_SECONDS)
                await asyncio.sleep(max(0, due - time.monotonic()))

    async def _ask(self, url: str) -> None:
        started, begun = time.monotonic(), time.time()
        self.open += 1
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                download = Download(url)
                await download.run()
            state = download.state
        except TimeoutError:
            state = "no answer"
        self.open -= 1
        self.count[url] += 1
        self.late[url] += time.monotonic() - started > _LATE_SECONDS
        if state != "complete":
            self.failed[url] += 1
            self.failures.append(f"{begun:.2f} {url}: {state} ({download.headers})")


async def main() -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    downloads: list[Download] = []
    asking: Asking | None = None
    running: set[asyncio.Task[None]] = set()

    def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        running.add(task)
        return task

    def say(answer: Any) -> None:
        print(json.dumps(answer), flush=True)

    asked: asyncio.Task[None] | None = None
    while line := await lines.readline():
        command = json.loads(line)
        if "download" in command:
            new = [Download(command["download"]) for _ in range(command["count"])]
            downloads += new
            for each in new:
                start(each.run())
            await asyncio.wait([start(each.began.wait()) for each in new], timeout=_PATIENCE_SECONDS)
            say([each.told() for each in new])
        elif "report" in command:
            say([each.told() for each in downloads])
        elif "ask" in command:
            asking = Asking(command["ask"], command["every"])
            asked = start(asking.run())
            say("asking")
        elif "count" in command:
            say(asking.count.total() if asking is not None else 0)
        elif asking is not None and asked is not None:
            asking.stopping.set()
            await asked
            by_url = {
                url: {"count": asking.count[url], "late": asking.late[url], "failed": asking.failed[url]}
                for url in asking.urls
            }
            total, late = asking.count.total(), asking.late.total()
            seconds = time.monotonic() - asking.began
            say(
                {
                    "count": total,
                    "late": late,
                    "failures": asking.failures,
                    "by_url": by_url,
                    "seconds": seconds,
                }
            )
    for task in running:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())

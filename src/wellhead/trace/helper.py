"""The helper on a machine that is watched from afar: a line for each request, and for each answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec

from wellhead.linux import proc
from wellhead.linux.nft import NftError
from wellhead.trace.observer import CannotWatch
from wellhead.trace.places import Place, of_machine
from wellhead.trace.request import Answer
from wellhead.trace.rules import Key
from wellhead.trace.watcher import Here, Order, Watching

_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_ANSWER_WITHIN = 0.05  # seconds


class _Request(msgspec.Struct):
    do: str
    about: msgspec.Raw = msgspec.Raw(b"null")


class Helper:
    """Answers until its input ends, then takes everything away."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._here: Here | None = None
        self._sending: Future[Answer] | None = None
        self._given_up = False
        self._threads = ThreadPoolExecutor(max_workers=1)

    def serve(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        try:
            for line in requests:
                answers.write(self._answer(line) + b"\n")
                answers.flush()
        finally:
            self._given_up = True
            self._threads.shutdown()
            if self._here is not None:
                self._here.close()

    def _answer(self, line: bytes) -> bytes:
        try:
            return msgspec.json.encode({"told": self._told(msgspec.json.decode(line, type=_Request))})
        except (CannotWatch, NftError, OSError, msgspec.DecodeError) as error:
            return msgspec.json.encode({"error": str(error)})

    def _told(self, request: _Request) -> object:
        if request.do == "open":
            watching = msgspec.json.decode(request.about, type=Watching)
            self._here = Here(list(places_of_this_machine(self._node)), watching)
            return self._here.places
        here = self._here
        if here is None:
            raise CannotWatch("nothing is watched yet")
        match request.do:
            case "sightings":
                return here.sightings()
            case "counted":
                return here.counted()
            case "addresses":
                return here.addresses(msgspec.json.decode(request.about, type=str))
            case "rules":
                place, keys = msgspec.json.decode(request.about, type=tuple[str, tuple[Key, ...]])
                return list(here.rules(place, keys).items())
            case "send":
                order = msgspec.json.decode(request.about, type=Order)
                self._given_up = False
                self._sending = self._threads.submit(here.send, order, lambda: self._given_up)
                return True
            case "give up":
                self._given_up = True
                return True
            case "answer":
                return self._answered()
        raise CannotWatch(f"unknown request {request.do!r}: is the helper of another version?")

    def _answered(self) -> Answer | None:
        if self._sending is None:
            raise CannotWatch("nothing was sent")
        try:
            return self._sending.result(_ANSWER_WITHIN)
        except TimeoutError:
            return None


def places_of_this_machine(node: str) -> Iterator[Place]:
    """The machine's own network, and that of each of its pods, as the processes in them tell.

    Which pod a process belongs to is in its cgroup's path: the kubelet's, of either driver.
    """
    seen: set[int] = set()
    for place in of_machine(node, 1):  # pods whose network is mounted, as wellhead's own agent does
        seen.add(Path(place.path).stat().st_ino)
        yield place
    for process in (proc.PROC / str(pid) for pid in proc.pids()):
        try:
            inode = (process / "ns/net").stat().st_ino
            if inode in seen or not (match := _POD.search((process / "cgroup").read_text())):
                continue
        except OSError:
            continue  # it has ended
        seen.add(inode)
        uid = match[1].replace("_", "-")
        yield Place(f"pod {uid}", str(process / "ns/net"), pod=uid, node=node)

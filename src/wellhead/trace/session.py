"""Machines under observation: set up once, then one traced request after the other. Blocks.

with watch_cluster(Cluster("wellhead")) as session:
    trace = session.send("client", Wanted("svc/web"))
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from wellhead.trace import pcapng
from wellhead.trace.hops import Hop
from wellhead.trace.journey import Asked, trace
from wellhead.trace.names import Names
from wellhead.trace.places import Place
from wellhead.trace.rules import Key, Rule
from wellhead.trace.seen import Seen
from wellhead.trace.sightings import Sighting
from wellhead.trace.target import Objects, Unclear, Wanted, find
from wellhead.trace.token import Tokens
from wellhead.trace.values import Trace
from wellhead.trace.watcher import Order, Watcher, Watching

_SETTLE = 0.02
"""Seconds: the kernel begins to stamp packets some milliseconds after it was asked to."""
_ANSWERED_WITHIN = 0.1
"""Seconds: the kernel shows a refusal as a drop, and its ICMP error comes at once."""
_QUIET = 0.004
_LAST_WORDS = 0.25
"""Seconds without news after which a request's packets have all been read, and the longest wait for that."""


class Session:
    """Sends requests, one at a time, and follows each through all places of its watchers, which it closes."""

    def __init__(
        self, watchers: Sequence[Watcher], watching: Watching, objects: Objects, names: Names
    ) -> None:
        self.objects = objects
        self.names = names
        self._watchers = watchers
        self._tokens: Tokens = watching.tokens
        self._tunnels = watching.tunnel_ports
        self._used = 0
        self._last: Seen | None = None
        time.sleep(_SETTLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        close_all(self._watchers)

    @property
    def places(self) -> list[Place]:
        return [place for watcher in self._watchers for place in watcher.places]

    @property
    def left(self) -> int:
        """How many requests there is still room for."""
        return self._tokens.count - self._used

    def client(self, name: str, namespace: str = "default") -> tuple[Watcher, Place]:
        """`client`, `pod/X`, `pod/NS/X`, `node/X` or the name of any machine. Raises Unclear."""
        kind, _, rest = name.partition("/")
        wanted = name
        if kind in ("pod", "po"):
            wanted = f"pod {rest if '/' in rest else f'{namespace}/{rest}'}"
        elif kind == "node":
            wanted = rest
        for watcher in self._watchers:
            for place in watcher.places:
                if self.names.place(place.name) == wanted:
                    return watcher, place
        there = ", ".join(sorted(_as_typed(self.names.place(place.name)) for place in self.places))
        raise Unclear(f"there is no {name} to send from; there: {there}")

    def send(self, client: str, wanted: Wanted, *, seconds: float = 3.0, path: str = "/") -> Trace:
        """Send one request, and follow it. Raises Unclear, CannotWatch."""
        watcher, place = self.client(client, wanted.namespace)
        target = find(wanted, self.objects)
        token = self._tokens.token(self._used)
        self._used += 1
        sightings: list[Sighting] = []
        ended: float | None = None

        def hopeless() -> bool:
            """Whether a rule has ended it, and its own answer, if it gives one, would have come by now."""
            nonlocal ended
            sightings.extend(self._sightings())
            if ended is None and Seen(sightings, token, self._tunnels).is_over:
                ended = time.monotonic()
            return ended is not None and time.monotonic() > ended + _ANSWERED_WITHIN

        order = Order(
            place=place.name,
            address=str(target.address),
            port=target.port,
            how=target.how,
            token=token,
            host=target.host,
            path=path,
            seconds=seconds,
        )
        answer = watcher.send(order, hopeless)
        self._read_all(sightings)
        seen = self._last = Seen(sightings, token, self._tunnels)
        quiet = not (answer.body or answer.status)
        counted = [count for each in self._watchers for count in each.counted()] if quiet else []
        asked = Asked(
            client,
            place,
            str(target.address),
            target.port,
            target.protocol,
            target.frontend,
            target.service,
        )
        return trace(asked, seen, answer, self.names, self._rules(seen), sightings, counted)

    def pcapng(self) -> bytes:
        """The packets of the last request, as a file that Wireshark opens."""
        if self._last is None:
            return b""
        hops = [
            (hop, f"leg {leg.number}, {direction}, at {self.names.place(hop.place)}: {_comment(hop)}")
            for leg in self._last.legs
            for direction, passed in (("request", leg.request), ("reply", leg.reply))
            for hop in passed
        ]
        return pcapng.write(hops, {place.name: self.names.place(place.name) for place in self.places})

    def _sightings(self) -> list[Sighting]:
        return [sighting for watcher in self._watchers for sighting in watcher.sightings()]

    def _read_all(self, sightings: list[Sighting]) -> None:
        """Until nothing new has come for a moment."""
        end = time.monotonic() + _LAST_WORDS
        while time.monotonic() < end:
            time.sleep(_QUIET)
            news = self._sightings()
            sightings.extend(news)
            if not news:
                return

    def _rules(self, seen: Seen) -> dict[tuple[str, Key], Rule]:
        return {
            (place.name, key): rule
            for watcher in self._watchers
            for place in watcher.places
            if (wanted := seen.rules_of(place.name))
            for key, rule in watcher.rules(place.name, wanted).items()
        }


def close_all(watchers: Sequence[Watcher]) -> None:
    """Close them side by side: each waits for its kernel."""
    with ThreadPoolExecutor() as threads:
        for closing in [threads.submit(watcher.close) for watcher in watchers]:
            closing.result()


def _comment(hop: Hop) -> str:
    changes = [
        f"{before} > {after}"
        for rewrite in hop.rewrites
        for before, after in zip(rewrite.before, rewrite.after, strict=True)
        if before != after
    ]
    if hop.dropped_by is not None:
        changes.append(f"ended in chain {hop.dropped_by.chain} of table {hop.dropped_by.table}")
    return ", ".join(changes) or "passed on as it is"


def _as_typed(name: str) -> str:
    return name.replace("pod ", "pod/", 1) if name.startswith("pod ") else name

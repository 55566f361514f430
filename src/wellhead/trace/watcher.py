"""Who watches places: this process, or a helper on another machine that is spoken to line by line.

A helper reads a request a line from its standard input and answers each with a line. When the input ends,
also because whoever asked was killed, it takes everything away and ends: `wellhead trace-node`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from wellhead.ip import parse_address
from wellhead.trace import rules
from wellhead.trace.observer import CannotWatch, Observer, inside
from wellhead.trace.places import Place
from wellhead.trace.request import Answer, How, send
from wellhead.trace.rules import Key, Rule
from wellhead.trace.sightings import CountSeen, Sighting
from wellhead.trace.token import Token, Tokens


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be sent from a place."""

    place: str
    address: str
    port: int
    how: How
    token: Token
    host: str = ""
    path: str = "/"
    seconds: float = 3.0


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be watched."""

    tokens: Tokens
    tunnel_ports: frozenset[int]
    opened_by: tuple[str, ...] = ()
    """Addresses of load balancers: what they open is watched, too."""


class Watcher(Protocol):
    """Watches the places of one machine."""

    places: Sequence[Place]

    def sightings(self) -> list[Sighting]:
        """What has been seen since the last call."""

    def counted(self) -> list[CountSeen]:
        """Which counters of packets that are thrown away have grown since it began."""

    def rules(self, place: str, keys: Iterable[Key]) -> dict[Key, Rule]:
        """These rules in their own words."""

    def send(self, order: Order, meanwhile: Callable[[], bool]) -> Answer:
        """Send a request. `meanwhile` is called now and then, and says whether waiting is hopeless."""

    def addresses(self, place: str) -> list[str]:
        """The addresses of a place's interfaces."""

    def close(self) -> None:
        """Take everything away."""


class Here:
    """Watches places that this process can join. Raises CannotWatch."""

    def __init__(self, places: Sequence[Place], watching: Watching) -> None:
        self.places = places
        self._observer = Observer(
            places, watching.tokens, watching.tunnel_ports, opened_by=watching.opened_by
        )

    def sightings(self) -> list[Sighting]:
        return self._observer.sightings()

    def counted(self) -> list[CountSeen]:
        return self._observer.counted()

    def rules(self, place: str, keys: Iterable[Key]) -> dict[Key, Rule]:
        where = self._place(place)

        def program(*command: str) -> str:
            return inside(where, lambda: rules.run_program(*command))

        return rules.texts(keys, self._observer.rules(place).run, program, self._observer.listings(place))

    def send(self, order: Order, meanwhile: Callable[[], bool]) -> Answer:
        address = parse_address(order.address)
        if address is None:
            raise CannotWatch(f"{order.address!r} is no address")
        return send(
            self._place(order.place),
            (address, order.port),
            order.how,
            order.token,
            host=order.host,
            path=order.path,
            seconds=order.seconds,
            hopeless=meanwhile,
        )

    def addresses(self, place: str) -> list[str]:
        return inside(self._place(place), own_addresses)

    def close(self) -> None:
        self._observer.close()

    def _place(self, name: str) -> Place:
        for place in self.places:
            if place.name == name:
                return place
        raise CannotWatch(f"there is no place {name} here")


def own_addresses() -> list[str]:
    """Of the interfaces in the network namespace of the calling thread."""
    from pyroute2 import IPRoute  # a tenth of a second that `--help` need not take

    with IPRoute() as route:
        found = [entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS") for entry in route.get_addr()]
    return [str(address) for address in found]


class Elsewhere:
    """Watches by a helper, which `command` starts and connects to. Raises CannotWatch.

    A request that is under way there is asked for again and again; between, `meanwhile` is called.
    """

    def __init__(self, machine: str, command: Sequence[str], watching: Watching) -> None:
        self._machine = machine
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise CannotWatch(f"{machine}: {command[0]}: {error.strerror}") from error
        try:
            self.places = self._ask("open", watching, list[Place])
        except BaseException:
            self.close()
            raise

    def sightings(self) -> list[Sighting]:
        found: list[Sighting] = self._ask("sightings", None, list[Sighting])
        return found

    def counted(self) -> list[CountSeen]:
        found: list[CountSeen] = self._ask("counted", None, list[CountSeen])
        return found

    def rules(self, place: str, keys: Iterable[Key]) -> dict[Key, Rule]:
        return dict(self._ask("rules", (place, tuple(keys)), list[tuple[Key, Rule]]))

    def send(self, order: Order, meanwhile: Callable[[], bool]) -> Answer:
        self._ask("send", order, bool)
        while True:
            answer: Answer | None = self._ask("answer", None, Answer | None)
            if answer is not None:
                return answer
            if meanwhile():
                self._ask("give up", None, bool)

    def addresses(self, place: str) -> list[str]:
        found: list[str] = self._ask("addresses", place, list[str])
        return found

    def close(self) -> None:
        """The end of its input tells the helper to take everything away."""
        with self._process:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _ask(self, what: str, about: object, kind: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(msgspec.json.encode({"do": what, "about": about}) + b"\n")
            stdin.flush()
            line = stdout.readline()
        except OSError as error:
            raise CannotWatch(f"{self._machine}: the helper is gone: {error.strerror}") from error
        if not line:
            raise CannotWatch(f"{self._machine}: the helper ended without an answer")
        return told(line, kind, self._machine)


def told(line: bytes, kind: Any, machine: str) -> Any:
    """What a helper's line says. Raises CannotWatch: it says what went wrong, or isn't a helper's."""
    try:
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if "error" in found:
            raise CannotWatch(f"{machine}: {msgspec.json.decode(found['error'], type=str)}")
        return msgspec.json.decode(found["told"], type=kind)
    except (msgspec.DecodeError, KeyError) as error:
        raise CannotWatch(f"{machine}: not a helper's answer: {line[:80]!r}") from error

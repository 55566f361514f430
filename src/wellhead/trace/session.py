"""A cluster of this machine under observation: set up once, then one traced request after the other. Blocks.

with Session(Cluster("wellhead")) as session:
    trace = session.send("client", Wanted("svc/web"))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Self

from pyroute2 import IPRoute

from wellhead.api.errors import ApiError
from wellhead.api.resources import NODES, PODS, SERVICES
from wellhead.client.connection import KubeconfigError, load
from wellhead.client.rest import Client, ConnectionLost
from wellhead.lab import kubeconfigs, machines, topology
from wellhead.lab.cluster import Cluster, LabError
from wellhead.linux.numbers import TUNNEL_PORT
from wellhead.trace import pcapng, rules
from wellhead.trace.hops import Hop
from wellhead.trace.journey import Asked, Seen, Trace, trace
from wellhead.trace.names import Named, Names, Owner, of_objects
from wellhead.trace.observer import Observer, inside
from wellhead.trace.places import Place, of_machine
from wellhead.trace.request import send
from wellhead.trace.rules import Key, Rule
from wellhead.trace.sightings import Sighting
from wellhead.trace.target import Objects, Unclear, Wanted, find
from wellhead.trace.token import Tokens

_API_SECONDS = 10.0
_SETTLE = 0.02
"""Seconds: the kernel begins to stamp packets some milliseconds after it was asked to."""
_ANSWERED_WITHIN = 0.1
"""Seconds: the kernel shows a refusal as a drop, and its ICMP error comes at once."""
_QUIET = 0.004
_LAST_WORDS = 0.25
"""Seconds without news after which a request's packets have all been read, and the longest wait for that."""
_TUNNELS = frozenset({TUNNEL_PORT, 4789, 8472})
"""Ours, VXLAN's own, and the one that Linux had before."""


class Session:
    """Watches every machine and pod of a cluster that runs here.

    Raises:
        LabError: there is no such cluster, or its API server doesn't answer.
        CannotWatch: some place can't be watched; nothing is left behind.
    """

    def __init__(self, cluster: Cluster, *, requests: int = 1, payloads: bool = False) -> None:
        """Room for so many requests. `payloads` follows them through terminating load balancers."""
        found = machines.find(cluster.name)
        try:
            if not found:
                raise LabError(f"cluster {cluster.name} isn't running: start it with `wellhead up`")
            self.places = [
                place for machine in found.values() for place in of_machine(machine.name, machine.pid)
            ]
        finally:
            for machine in found.values():
                machine.close()
        self.objects = asyncio.run(_read(cluster))
        self.names = _names(self.places, self.objects)
        self._tokens = Tokens(requests)
        self._used = 0
        self._last: Seen | None = None
        balancers = [
            str(address) for address, named in self.names.by_address.items() if named.owner is Owner.BALANCER
        ]
        self._observer = Observer(
            self.places, self._tokens, _TUNNELS, opened_by=balancers if payloads else ()
        )
        time.sleep(_SETTLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._observer.close()

    @property
    def left(self) -> int:
        """How many requests there is still room for."""
        return self._tokens.count - self._used

    def client(self, name: str, namespace: str = "default") -> Place:
        """`client`, `pod/X`, `pod/NS/X`, `node/X` or the name of any machine. Raises Unclear."""
        kind, _, rest = name.partition("/")
        wanted = name
        if kind in ("pod", "po"):
            wanted = f"pod {rest if '/' in rest else f'{namespace}/{rest}'}"
        elif kind == "node":
            wanted = rest
        for place in self.places:
            if self.names.place(place.name) == wanted:
                return place
        there = ", ".join(sorted(_as_typed(self.names.place(place.name)) for place in self.places))
        raise Unclear(f"there is no {name} to send from; there: {there}")

    def send(self, client: str, wanted: Wanted, *, seconds: float = 3.0, path: str = "/") -> Trace:
        """Send one request, and follow it. Raises Unclear, CannotWatch."""
        place = self.client(client, wanted.namespace)
        target = find(wanted, self.objects)
        token = self._tokens.token(self._used)
        self._used += 1
        sightings: list[Sighting] = []

        ended: float | None = None

        def hopeless() -> bool:
            """Whether a rule has ended it, and its own answer, if it gives one, would have come by now."""
            nonlocal ended
            sightings.extend(self._observer.sightings())
            if ended is None and Seen(sightings, token, _TUNNELS).is_over:
                ended = time.monotonic()
            return ended is not None and time.monotonic() > ended + _ANSWERED_WITHIN

        answer = send(
            place,
            (target.address, target.port),
            target.how,
            token,
            host=target.host,
            path=path,
            seconds=seconds,
            hopeless=hopeless,
        )
        self._read_all(sightings)
        seen = Seen(sightings, token, _TUNNELS)
        counted = () if answer.body or answer.status else self._observer.counted()
        texts = self._rules(seen)
        asked = Asked(
            client,
            place,
            str(target.address),
            target.port,
            target.protocol,
            target.frontend,
            target.service,
        )
        self._last = seen
        return trace(asked, seen, answer, self.names, texts, sightings, counted)

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

    def _read_all(self, sightings: list[Sighting]) -> None:
        """Until nothing new has come for a moment."""
        end = time.monotonic() + _LAST_WORDS
        while time.monotonic() < end:
            time.sleep(_QUIET)
            news = self._observer.sightings()
            sightings.extend(news)
            if not news:
                return

    def _rules(self, seen: Seen) -> dict[tuple[str, Key], Rule]:
        found: dict[tuple[str, Key], Rule] = {}
        for place in self.places:
            if wanted := seen.rules_of(place.name):
                nft = self._observer.rules(place.name)
                listed = rules.texts(wanted, nft.run, _programs(place))
                found |= {(place.name, key): rule for key, rule in listed.items()}
        return found


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


def _programs(place: Place) -> Callable[..., str]:
    return lambda *command: inside(place, lambda: rules.run_program(*command))


def _as_typed(name: str) -> str:
    return name.replace("pod ", "pod/", 1) if name.startswith("pod ") else name


async def _read(cluster: Cluster) -> Objects:
    try:
        connection = load(str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN)))
        async with asyncio.timeout(_API_SECONDS), Client(connection, "wellhead-trace") as client:
            pods, nodes, services = [
                (await client.list(resource))["items"] for resource in (PODS, NODES, SERVICES)
            ]
    except TimeoutError:
        raise LabError(f"the API server doesn't answer within {_API_SECONDS:.0f} s") from None
    except (ConnectionLost, ApiError, KubeconfigError) as error:
        raise LabError(f"the API server doesn't answer: {error}") from None
    return Objects(pods, nodes, services)


def _names(places: Sequence[Place], objects: Objects) -> Names:
    """Names by the objects first, then by the interfaces of the places."""
    names = of_objects(objects.pods, objects.nodes, objects.services, {})
    owners = {topology.CLIENT: Owner.CLIENT, topology.CLOUD: Owner.BALANCER, topology.EDGE: Owner.OTHER}
    for place in places:
        if not place.pod:
            owner = owners.get(place.name, Owner.NODE)
            names.add(Named(owner, place.name, place.node), inside(place, _own_addresses))
    return names


def _own_addresses() -> list[str]:
    with IPRoute() as route:
        return [
            str(entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS")) for entry in route.get_addr()
        ]

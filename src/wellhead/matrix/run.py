"""Trying every cell: predicted from the objects, sent, traced, compared."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from wellhead.client.connection import load
from wellhead.client.rest import Client
from wellhead.ip import Family
from wellhead.lab import kubeconfigs
from wellhead.lab.cluster import Cluster, NoCluster
from wellhead.matrix.cells import Cell, Dialled, Parts, Place, cells, untried
from wellhead.matrix.result import Matrix, Row, Verdict, in_words
from wellhead.matrix.stand import put_up, take_away
from wellhead.paths.way import Disposition, Way
from wellhead.paths.world import World
from wellhead.snapshot.sources import world_of
from wellhead.trace.compare import differences
from wellhead.trace.here import watch_cluster
from wellhead.trace.predict import predict
from wellhead.trace.session import Session

_SETTLE_SECONDS = 30.0
"""How long a cell that differs is asked again: proxies and balancers learn of new Services in a while."""
_AGAIN_SECONDS = 0.5
_AGAIN_LATER = 5  # times, when all has settled: a machine with much else to do may be late
_DROP_SECONDS = 1.0
"""What a request waits for an answer where no rule was seen to end it."""

Progress = Callable[[int, int], None]
"""Called with the number of cells that are done, and of all."""


def matrix(
    cluster: Cluster,
    families: Sequence[Family] = (),
    progress: Progress = lambda _done, _all: None,
    dialled: Sequence[Dialled] = tuple(Dialled),
) -> Matrix:
    """Try all cells of these families, or of all that the cluster has, and addresses. Blocks.

    Raises:
        LabError: there is no such cluster.
        CannotStand, CannotWatch: what is needed can't be had. Nothing is left behind.
    """
    spec = cluster.read_spec()
    if spec is None:
        raise NoCluster(cluster.name)
    has = [Family(plan.nodes.version) for plan in spec.plans]
    wanted = [family for family in has if not families or family in families]
    parts = Parts(proxy="proxy" not in spec.without, cloud="cloud" not in spec.without)
    proxy = f"wellhead's proxy in {spec.proxy_mode} mode" if parts.proxy else "somebody else's proxy"
    with _standing(cluster, has, parts) as place:
        tried = tuple(_tried(cluster, place, parts, list(cells(wanted, dialled)), progress))
    return Matrix(cluster=cluster.name, proxy=proxy, rows=tried)


@contextmanager
def _standing(cluster: Cluster, families: Sequence[Family], parts: Parts) -> Iterator[Place]:
    namespace = f"wellhead-matrix-{secrets.token_hex(3)}"
    connection = load(str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN)))

    async def up() -> Place:
        async with Client(connection, "wellhead-matrix") as client:
            return await put_up(client, namespace, families, parts)

    async def down() -> None:
        async with Client(connection, "wellhead-matrix") as client:
            await take_away(client, namespace)

    try:
        yield asyncio.run(up())
    finally:
        asyncio.run(down())


def _tried(
    cluster: Cluster, place: Place, parts: Parts, wanted: Sequence[Cell], progress: Progress
) -> Iterator[Row]:
    rounds = int(_SETTLE_SECONDS / _AGAIN_SECONDS)
    world = world_of((), str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN)), place.namespace)
    with watch_cluster(cluster, requests=len(wanted) + 40 * rounds, payloads=True) as session:
        deadline = time.monotonic() + _SETTLE_SECONDS
        for done, cell in enumerate(wanted):
            progress(done, len(wanted))
            if why := untried(cell, place, parts):
                yield _row(cell, Verdict.UNTRIED, why)
                continue
            row, again = _once(session, world, cell, place), 0
            while (
                row.verdict is Verdict.DIFFERS
                and (time.monotonic() < deadline or again < _AGAIN_LATER)
                and session.left > len(wanted)
            ):
                time.sleep(_AGAIN_SECONDS)
                row, again = _once(session, world, cell, place), again + 1
            yield row
        progress(len(wanted), len(wanted))


def _once(session: Session, world: World, cell: Cell, place: Place) -> Row:
    begin = time.monotonic()
    trace = session.send(cell.client(place), cell.wanted(place), seconds=_DROP_SECONDS)
    milliseconds = round((time.monotonic() - begin) * 1000, 1)
    seen, foreseen = trace.way, predict(world, trace.way)
    verdict, said = _judged(foreseen, seen)
    return replace(
        _row(cell, verdict, said),
        seen=in_words(seen),
        milliseconds=milliseconds,
        observed=seen,
        predicted=foreseen,
    )


def _judged(foreseen: Way | None, seen: Way) -> tuple[Verdict, str]:
    if foreseen is None or all(each.disposition is Disposition.UNKNOWN for each in foreseen.outcomes):
        return Verdict.UNKNOWN, "nothing is predicted"
    found = differences(foreseen, seen)
    return (Verdict.DIFFERS, "; ".join(found)) if found else (Verdict.AGREED, "")


def _row(cell: Cell, verdict: Verdict, said: str) -> Row:
    return Row(
        family="IPv6" if cell.family is Family.IPV6 else "IPv4",
        dialled=cell.dialled,
        policy=cell.policy,
        client=cell.where,
        verdict=verdict,
        said=said,
    )

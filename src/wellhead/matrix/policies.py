"""A truth table of pods, pods and ports: what policies let through, predicted and sent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from wellhead.api.meta import Obj, key
from wellhead.ip import Family, Protocol, family_of, parse_address, parse_protocol
from wellhead.lab import kubeconfigs
from wellhead.lab.cluster import Cluster, NoCluster
from wellhead.matrix.result import Matrix, Row, Verdict
from wellhead.matrix.run import Progress
from wellhead.matrix.stand import CannotStand
from wellhead.paths.way import Disposition, Way
from wellhead.paths.world import World
from wellhead.snapshot.sources import world_of
from wellhead.trace.here import watch_cluster
from wellhead.trace.predict import predict
from wellhead.trace.request import How
from wellhead.trace.session import Session
from wellhead.trace.target import Wanted
from wellhead.trace.values import Trace

MOST_PODS = 40
_SETTLE_SECONDS = 10.0
_AGAIN_SECONDS = 0.5
_AGAIN_LATER = 3  # times, when all has settled
_DROP_SECONDS = 1.0
_PORT = (Protocol.TCP, 80)
"""Where nobody declares any."""
_PASSES, _DROPPED = "passes", "dropped"

Dialled = tuple[Protocol, int]


class Question(NamedTuple):
    """Whether one pod's packet reaches another one."""

    family: Family
    dialled: Dialled
    client: str
    """namespace/name"""
    server: str

    def wanted(self) -> Wanted:
        protocol, port = self.dialled
        how = How.UDP if protocol is Protocol.UDP else How.TCP
        return Wanted(f"pod/{self.server}:{port}", family=self.family, how=how)


def policy_matrix(
    cluster: Cluster,
    families: Sequence[Family] = (),
    namespaces: Sequence[str] = (),
    dialled: Sequence[Dialled] = (),
    progress: Progress = lambda _done, _all: None,
) -> Matrix:
    """Ask for every pair of pods of these namespaces (all of those with pods, but kube-system), at these
    ports (those that their containers declare). Blocks.

    Raises:
        LabError: there is no such cluster.
        CannotStand: there are too few pods, or too many.
        CannotWatch: what is needed can't be had.
    """
    spec = cluster.read_spec()
    if spec is None:
        raise NoCluster(cluster.name)
    wanted = [each for plan in spec.plans if (each := Family(plan.nodes.version)) in (families or Family)]
    enforcer = "somebody else's policies" if "policy" in spec.without else "wellhead policy"
    world = world_of((), str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN)), "")
    pods = chosen(world.all("Pod"), namespaces)
    if len(pods) < 2:
        raise CannotStand("there are no two running pods to ask: apply some, and policies about them")
    if len(pods) > MOST_PODS:
        raise CannotStand(f"{len(pods)} pods are too many (the most are {MOST_PODS}): name namespaces by -n")
    asked = list(questions(pods, wanted, dialled or ports(pods)))
    rounds = int(_SETTLE_SECONDS / _AGAIN_SECONDS)
    with watch_cluster(cluster, requests=len(asked) + 40 * rounds) as session:
        rows = tuple(_rows(session, world, asked, progress))
    return Matrix(cluster=cluster.name, proxy=enforcer, rows=rows)


def chosen(pods: Iterable[Obj], namespaces: Sequence[str]) -> list[Obj]:
    """The pods that are asked: running ones with addresses of their own."""
    found = []
    for pod in pods:
        namespace, status = key(pod)[0], pod.get("status") or {}
        wanted = namespace in namespaces if namespaces else namespace != "kube-system"
        if wanted and status.get("phase") == "Running" and not pod["spec"].get("hostNetwork"):
            found.append(pod)
    return sorted(found, key=key)


def ports(pods: Iterable[Obj]) -> list[Dialled]:
    """What containers declare, but SCTP, which nothing here can send."""
    found = {
        (parse_protocol(port.get("protocol")), int(port["containerPort"]))
        for pod in pods
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
    }
    return sorted(each for each in found if each[0] is not Protocol.SCTP) or [_PORT]


def questions(
    pods: Sequence[Obj], families: Sequence[Family], dialled: Sequence[Dialled]
) -> Iterator[Question]:
    """Of each family and port all pairs of pods that have such addresses, each with itself among them."""
    for family in families:
        names = ["/".join(key(pod)) for pod in pods if family in _families(pod)]
        for each in dialled:
            for client in names:
                yield from (Question(family, each, client, other) for other in names)


def _families(pod: Obj) -> set[Family]:
    texts = (each.get("ip") or "" for each in (pod.get("status") or {}).get("podIPs") or ())
    return {family_of(address) for text in texts if (address := parse_address(text)) is not None}


def _rows(session: Session, world: World, asked: Sequence[Question], progress: Progress) -> Iterator[Row]:
    deadline = time.monotonic() + _SETTLE_SECONDS
    for done, question in enumerate(asked):
        progress(done, len(asked))
        if question.client == question.server:
            yield _row(question, Verdict.UNTRIED, "a pod reaches itself without leaving")
            continue
        row, again = _once(session, world, question), 0
        while (
            row.verdict is Verdict.DIFFERS
            and (time.monotonic() < deadline or again < _AGAIN_LATER)
            and session.left > len(asked)
        ):
            time.sleep(_AGAIN_SECONDS)
            row, again = _once(session, world, question), again + 1
        yield row
    progress(len(asked), len(asked))


def _once(session: Session, world: World, question: Question) -> Row:
    begin = time.monotonic()
    found = session.send(f"pod/{question.client}", question.wanted(), seconds=_DROP_SECONDS)
    milliseconds = round((time.monotonic() - begin) * 1000, 1)
    foreseen, came = predict(world, found.way), arrived(found, question.server)
    verdict, said = judged(foreseen, came)
    return replace(
        _row(question, verdict, said),
        seen=_word(came),
        milliseconds=milliseconds,
        observed=found.way,
        predicted=foreseen,
    )


def _row(question: Question, verdict: Verdict, said: str) -> Row:
    protocol, port = question.dialled
    return Row(
        family=f"IPv{question.family.value}",
        dialled=f"{protocol} {port}",
        policy=question.server,
        client=question.client,
        verdict=verdict,
        said=said,
    )


def arrived(found: Trace, server: str) -> bool:
    """Whether the request came to the pod, whatever that made of it."""
    asking = [hop for hop in found.hops if hop.direction == "request"]
    return bool(asking) and not asking[-1].dropped and asking[-1].place == f"pod {server}"


def judged(foreseen: Way | None, came: bool) -> tuple[Verdict, str]:
    """What a prediction is worth, now that it is known what came."""
    outcomes = foreseen.outcomes if foreseen is not None else ()
    known = [each for each in outcomes if each.disposition is not Disposition.UNKNOWN]
    if not known:
        return Verdict.UNKNOWN, "nothing is predicted"
    passes = {each.disposition is not Disposition.DROPPED for each in known}
    if came in passes:
        return Verdict.AGREED, ""
    return Verdict.DIFFERS, f"predicted: {_word(not came)}; seen: {_word(came)}"


def _word(passes: bool) -> str:
    return _PASSES if passes else _DROPPED

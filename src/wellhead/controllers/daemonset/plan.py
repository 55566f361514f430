"""Which pods a DaemonSet lacks, and which it has too many of: one pod for every node, for a while two.

Source: upstream's pkg/controller/daemon (podsShouldBeOnNode, getUnscheduledPodsWithoutNode).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wellhead.api.meta import Obj, is_deleting, labels
from wellhead.api.types.pod import Pod
from wellhead.controllers.daemonset.placement import Placement, PodsByNode
from wellhead.controllers.daemonset.rolling import limits
from wellhead.controllers.pods import is_ready, phase, seconds_to_available
from wellhead.controllers.revisions import POD_LABEL


@dataclass
class Plan:
    """Nodes that are to get a pod, and pods that are to go."""

    create: list[str] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)
    failed: list[tuple[str, Pod]] = field(default_factory=list)
    """Pods that are to go, each with its node, but not again and again at once."""
    succeeded: list[tuple[str, Pod]] = field(default_factory=list)


def plan(
    daemonset: Obj,
    nodes: Iterable[Obj],
    pods: PodsByNode,
    placement: Placement,
    digest: str,
    now: datetime,
) -> Plan:
    """What is to be done so that the right nodes have a pod, whatever its revision."""
    made = Plan()
    surging = limits(daemonset, 1).surge > 0
    existing = set()
    for node in sorted(nodes, key=lambda each: each["metadata"]["name"]):
        name = node["metadata"]["name"]
        existing.add(name)
        there, should_run = pods.get(name, ()), placement.should_run(node)
        if should_run and not there:
            made.create.append(name)
        elif not placement.may_stay(node):
            made.delete += [pod for pod in there if not is_deleting(pod)]
        else:
            running = _running(made, name, there)
            if not surging:
                made.delete += running[1:]
            elif running:
                made.delete += _excess(daemonset, running, digest, now)
            elif should_run:
                made.create.append(name)
    for name, there in pods.items():
        if name not in existing:
            # Never scheduled, they would never be collected either.
            made.delete += [pod for pod in there if not pod["spec"].get("nodeName") and not is_deleting(pod)]
    return made


def _running(made: Plan, node: str, pods: Sequence[Pod]) -> list[Pod]:
    """The pods that have neither ended nor are on their way out; what has ended goes into the plan."""
    running = []
    for pod in pods:
        if is_deleting(pod):
            continue
        match phase(pod):
            case "Failed":
                made.failed.append((node, pod))
            case "Succeeded":
                made.succeeded.append((node, pod))
            case _:
                running.append(pod)
    return running


def _excess(daemonset: Obj, running: Sequence[Pod], digest: str, now: datetime) -> list[Pod]:
    """Of a node that may have two pods: all but the oldest new one, and the oldest old one while needed."""
    new = [pod for pod in running if labels(pod).get(POD_LABEL) == digest]
    old = [pod for pod in running if labels(pod).get(POD_LABEL) != digest]
    excess = [*new[1:], *old[1:]]
    if new and old:
        min_ready = daemonset["spec"].get("minReadySeconds", 0)
        if not is_ready(old[0]) or seconds_to_available(new[0], min_ready, now) == 0:
            excess.append(old[0])
    return excess

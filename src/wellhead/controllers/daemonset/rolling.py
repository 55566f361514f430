"""Which pods of an old template make room for new ones next.

Source: upstream's pkg/controller/daemon/update.go. Either old pods go first, and no more than maxUnavailable
nodes are without an available pod because of that; or, with maxSurge, new pods come first, on no more than so
many nodes beside an old one that is available.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wellhead.api.meta import Obj, is_deleting
from wellhead.api.types.pod import Pod
from wellhead.controllers.daemonset.placement import Placement, PodsByNode, is_updated
from wellhead.controllers.pods import seconds_to_available
from wellhead.controllers.shares import resolve


@dataclass(frozen=True)
class Limits:
    """In nodes."""

    surge: int
    unavailable: int


@dataclass
class Step:
    """Nodes that are to get a new pod, and pods that are to go."""

    create: list[str] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)


def limits(daemonset: Obj, nodes: int) -> Limits:
    """What the strategy allows with so many nodes; both round up. Without any room: one unavailable."""
    strategy = daemonset["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") != "RollingUpdate" or not rolling:
        return Limits(0, 0)
    surge = resolve(rolling.get("maxSurge", 0), nodes, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", 1), nodes, up=True)
    return Limits(surge, 1 if nodes and not surge and not unavailable else unavailable)


def roll(
    daemonset: Obj, nodes: Iterable[Obj], pods: PodsByNode, placement: Placement, digest: str, now: datetime
) -> Step:
    """The next step of a rolling update to the revision with this hash; empty if all is new, or must wait."""
    wanted = {node["metadata"]["name"] for node in nodes if placement.should_run(node)}
    everywhere = [
        _Node(name, pods.get(name, ()), daemonset, digest, now) for name in sorted({*wanted, *pods})
    ]
    allowed = limits(daemonset, len(wanted))
    if allowed.surge:
        return _surge(everywhere, wanted, allowed.surge)
    return _replace(everywhere, allowed.unavailable)


class _Node:
    """What is on one node: at most one pod of each kind, or `crowded`."""

    def __init__(self, name: str, pods: Sequence[Pod], daemonset: Obj, digest: str, now: datetime) -> None:
        self.name = name
        staying = [pod for pod in pods if not is_deleting(pod)]
        new = [pod for pod in staying if is_updated(pod, daemonset, digest)]
        old = [pod for pod in staying if not is_updated(pod, daemonset, digest)]
        self.crowded = len(new) > 1 or len(old) > 1
        self.new = new[0] if new else None
        self.old = old[0] if old else None
        min_ready = daemonset["spec"].get("minReadySeconds", 0)
        self.new_available = bool(new) and seconds_to_available(new[0], min_ready, now) == 0
        self.old_available = bool(old) and seconds_to_available(old[0], min_ready, now) == 0


def _replace(nodes: Sequence[_Node], most: int) -> Step:
    """Old pods that aren't available go at once: nothing is lost by that."""
    unavailable, step, candidates = 0, Step(), list[Pod]()
    for node in nodes:
        if node.crowded or (node.old is None) == (node.new is None):
            unavailable += 1  # the plan for its node sees to it
        elif node.old is None:
            unavailable += not node.new_available
        elif node.old_available:
            candidates.append(node.old)
        else:
            step.delete.append(node.old)
            unavailable += 1
    step.delete += candidates[: max(0, most - unavailable)]
    return step


def _surge(nodes: Sequence[_Node], wanted: set[str], most: int) -> Step:
    """A new pod comes at once where the old one isn't available: nothing is risked by that."""
    surging, available, step = 0, 0, Step()
    candidates, unwanted = list[str](), list[Pod]()
    for node in nodes:
        if node.crowded:
            surging += 1
            continue
        available += node.old_available if node.old else node.new_available
        if node.old is None:
            continue
        if node.new is not None:
            if node.new_available:
                step.delete.append(node.old)
            else:
                surging += 1
        elif node.name not in wanted:
            # An available pod that belongs elsewhere now stays until the others are.
            (unwanted if node.old_available else step.delete).append(node.old)
        elif node.old_available:
            candidates.append(node.name)
        else:
            step.create.append(node.name)
    step.create += candidates[: max(0, most - surging)]
    step.delete += unwanted[: max(0, available - len(wanted))]
    return step

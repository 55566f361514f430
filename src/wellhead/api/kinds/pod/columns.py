"""Pods: STATUS sums up phase, containers and deletion, as upstream's printPod does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from wellhead.api import cells
from wellhead.api.ages import age
from wellhead.api.meta import Obj, condition, is_condition_true
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer


@dataclass
class _Summary:
    reason: str
    total: int
    ready: int = 0
    restarts: int = 0
    restarted_at: str = ""
    running: bool = field(default=False)

    def count(self, status: Obj) -> None:
        self.restarts += status.get("restartCount") or 0
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.restarted_at = max(self.restarted_at, ended)


def _summary(pod: Obj) -> _Summary:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = _Summary(
        status.get("reason") or status.get("phase") or "", total=len(spec.get("containers") or ())
    )
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("reason") == "SchedulingGated":
        summary.reason = "SchedulingGated"
    sidecars = _Summary("", 0)
    initializing = _look_at_init_containers(pod, summary, sidecars)
    if not initializing or is_condition_true(pod, "Initialized"):
        summary.restarts, summary.restarted_at = sidecars.restarts, sidecars.restarted_at
        for container in reversed(status.get("containerStatuses") or ()):
            _look_at_container(container, summary)
        if summary.reason == "Completed" and summary.running:
            summary.reason = "Running" if is_condition_true(pod, "Ready") else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            summary.reason = "Terminating"
    return summary


def _look_at_init_containers(pod: Obj, summary: _Summary, sidecars: _Summary) -> bool:
    """Whether the pod is still initializing."""
    init_containers = pod.get("spec", {}).get("initContainers") or ()
    restartable = {c["name"] for c in init_containers if c.get("restartPolicy") == "Always"}
    summary.total += len(restartable)
    for index, container in enumerate((pod.get("status") or {}).get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        is_sidecar = container.get("name") in restartable
        summary.count(container)
        if is_sidecar:
            sidecars.count(container)
        ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
        if ended is not None and not ended.get("exitCode"):
            continue
        if is_sidecar and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            summary.reason = "Init:" + (ended.get("reason") or _how_it_ended(ended))
        elif waiting and waiting != "PodInitializing":
            summary.reason = "Init:" + waiting
        else:
            summary.reason = f"Init:{index}/{len(init_containers)}"
        return True
    return False


def _look_at_container(container: Obj, summary: _Summary) -> None:
    state = container.get("state") or {}
    summary.count(container)
    ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
    if waiting:
        summary.reason = waiting
    elif ended is not None:
        summary.reason = ended.get("reason") or _how_it_ended(ended)
    elif container.get("ready") and state.get("running") is not None:
        summary.running = True
        summary.ready += 1


def _how_it_ended(ended: Obj) -> str:
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _cells(pod: Obj, now: datetime) -> list[Cell]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = _summary(pod)
    restarts = str(summary.restarts)
    if summary.restarts and summary.restarted_at:
        restarts += f" ({age(summary.restarted_at, now)} ago)"
    ips = status.get("podIPs") or [{"ip": status.get("podIP")}]
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or ()]
    met = sum(is_condition_true(pod, gate) for gate in gates)
    return [
        cells.name(pod),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        restarts,
        cells.created(pod, now),
        ips[0].get("ip") or cells.NONE,
        spec.get("nodeName") or cells.NONE,
        status.get("nominatedNodeName") or cells.NONE,
        f"{met}/{len(gates)}" if gates else cells.NONE,
    ]


PRINTER = Printer(
    (
        NAME,
        Column("Ready", description="Containers that are ready, of all that the pod has."),
        Column("Status", description="The state of the pod and its containers in one word."),
        Column("Restarts", description="How often containers were restarted, and when the last time."),
        AGE,
        Column("IP", wide=True),
        Column("Node", wide=True),
        Column("Nominated Node", wide=True),
        Column("Readiness Gates", wide=True),
    ),
    _cells,
)

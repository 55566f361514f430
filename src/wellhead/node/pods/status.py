"""What a pod's status says, computed from its record.

Source: pkg/kubelet/kubelet_pods.go (getPhase, convertToAPIContainerStatuses) and
pkg/kubelet/status/generate.go of v1.37.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wellhead.api.meta import Obj, now
from wellhead.api.quota.pods import pod_amounts
from wellhead.node.pods import room, spec
from wellhead.node.pods.record import Attempt, ContainerRecord, PodRecord, Resize

_PENDING, _PROGRESS = "PodResizePending", "PodResizeInProgress"


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run at the moment."""

    reason: str
    message: str = ""


@dataclass
class View:
    """What the record leaves out, since it is only true while the agent runs."""

    host_ips: tuple[str, ...]
    waiting: dict[str, Waiting] = field(default_factory=dict)
    conditions: dict[str, Obj] = field(default_factory=dict)
    """The conditions that were computed last, by type: what is the same keeps its time."""
    restarting: bool = False
    """Whether all containers are being ended, to be started anew."""
    ended: bool = False
    """Whether nothing of the pod will be started (again)."""


def compute(record: PodRecord, view: View) -> Obj:
    """The whole status, but for conditions that belong to others."""
    pod = record.pod
    before = pod.get("status") or {}
    if record.rejected:
        qos_class = before.get("qosClass") or spec.qos_class(pod)
        status: Obj = {"phase": record.phase, "conditions": [], "qosClass": qos_class}
        return status | {"reason": record.reason, "message": record.message}
    statuses = {
        kind: [_container_status(pod, record, view, container, init=kind == "init") for container in listed]
        for kind, listed in (
            ("init", spec.init_containers(pod)),
            ("main", spec.containers(pod)),
            ("ephemeral", spec.ephemeral_containers(pod)),
        )
    }
    # Who says that it has come to its end is believed: it is being ended.
    phase = record.phase or (before["phase"] if spec.is_finished(pod) else _phase(pod, record, view))
    status = {
        "phase": phase,
        "conditions": _conditions(record, view, phase, statuses["init"], statuses["main"]),
        "hostIP": view.host_ips[0],
        "hostIPs": [{"ip": ip} for ip in view.host_ips],
        "startTime": record.started_at or before.get("startTime") or now(),
        "containerStatuses": statuses["main"],
        "qosClass": before.get("qosClass") or spec.qos_class(pod),
    }
    said = {each["type"] for each in before.get("conditions") or ()}
    over = [kind for kind, what in _resizes(record) if what is None and kind in said]
    status["conditions"] = [*status["conditions"], *({"type": kind, "$patch": "delete"} for kind in over)]
    if generation := pod["metadata"].get("generation"):
        status["observedGeneration"] = generation
    if statuses["init"]:
        status["initContainerStatuses"] = statuses["init"]
    if statuses["ephemeral"]:
        for each in statuses["ephemeral"]:
            each["ready"] = False
        status["ephemeralContainerStatuses"] = statuses["ephemeral"]
    allocated = room.granted(pod, record.allocated)
    if amounts := pod_amounts(allocated, "requests"):
        status["allocatedResources"] = {name: str(amount) for name, amount in amounts.items()}
        status["resources"] = room.together(allocated) if record.whole is None else record.whole
    addresses = view.host_ips if spec.host_network(pod) else record.ips
    if addresses:
        status |= {"podIP": addresses[0], "podIPs": [{"ip": ip} for ip in addresses]}
    for name, value in (("reason", record.reason), ("message", record.message)):
        if value:
            status[name] = value
    return status


def is_passing(record: PodRecord, view: View) -> bool:
    """Whether a container has ended to be replaced, and its successor isn't there yet, nor in trouble."""
    if record.phase or view.ended or view.waiting or view.restarting:
        return False
    return any(
        each.current.replaced
        if each.current.finished_at
        else not each.current.launched and each.last is not None and each.last.replaced
        for each in record.containers.values()
        if each.current is not None
    )


def _container_status(pod: Obj, record: PodRecord, view: View, container: Obj, *, init: bool) -> Obj:
    name = container["name"]
    mine = record.containers.get(name) or ContainerRecord()
    attempt = mine.current
    waiting = view.waiting.get(name)
    status: Obj = {
        "name": name,
        "image": attempt.image if attempt else container["image"],
        "imageID": (attempt.image_name or attempt.image_id) if attempt else "",
        "restartCount": attempt.number if attempt else 0,
        "ready": False,
        "started": False,
        "state": {},
        "lastState": {"terminated": terminated(mine.last)} if mine.last and attempt else {},
    }
    if attempt is not None:
        status["containerID"] = container_id(attempt)
        has = mine.resources if mine.resources is not None else container.get("resources") or {}
        status["resources"] = has
        granted: Obj = record.allocated.get(name, has)
        if granted.get("requests"):
            status["allocatedResources"] = granted["requests"]
    if listed := container.get("volumeMounts"):
        status["volumeMounts"] = [_mounted(each) for each in listed]
    if attempt is not None and attempt.user:
        uid, gid, *groups = attempt.user
        status["user"] = {"linux": {"uid": uid, "gid": gid, "supplementalGroups": sorted({gid, *groups})}}
    if attempt is not None and attempt.running:
        status["state"] = {"running": {"startedAt": attempt.started_at}}
        runs_on = not init or spec.is_sidecar(container)
        status |= {"started": attempt.started, "ready": runs_on and attempt.started and attempt.ready}
    elif waiting is not None and not record.phase and not view.ended:
        # A container that waits for its next run shows how the run before ended.
        status["state"] = {"waiting": _said(waiting)}
        if attempt is not None and attempt.finished_at:
            status["lastState"] = {"terminated": terminated(attempt)}
    elif attempt is not None and attempt.finished_at:
        status["state"] = {"terminated": terminated(attempt)}
        if init and not spec.is_sidecar(container):
            status["ready"] = attempt.exit_code == 0
    else:
        reason = "PodInitializing" if spec.init_containers(pod) else "ContainerCreating"
        status["state"] = {"waiting": {"reason": reason}}
    return status


def _mounted(mount: Obj) -> Obj:
    status: Obj = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        fully = (mount.get("recursiveReadOnly") or "Disabled") != "Disabled"
        status |= {"readOnly": True, "recursiveReadOnly": "Enabled" if fully else "Disabled"}
    return status


def _said(waiting: Waiting) -> Obj:
    return {"reason": waiting.reason} | ({"message": waiting.message} if waiting.message else {})


def container_id(attempt: Attempt) -> str:
    """The API's form of a container's id."""
    return f"crun://{attempt.id}"


def terminated(attempt: Attempt) -> Obj:
    """A ContainerStateTerminated."""
    state: Obj = {
        "exitCode": attempt.exit_code,
        "reason": attempt.reason,
        "startedAt": attempt.started_at or attempt.finished_at,
        "finishedAt": attempt.finished_at,
        "containerID": container_id(attempt),
    }
    if attempt.message:
        state["message"] = attempt.message
    return state


def _phase(pod: Obj, record: PodRecord, view: View) -> str:
    """The phase of a pod whose record doesn't say that it has come to its end."""
    initialized = all(
        _has_started(record, c) if spec.is_sidecar(c) else _succeeded(record, c)
        for c in spec.init_containers(pod)
    )
    begun = all(_was_launched(record, c) for c in spec.containers(pod))
    if view.ended and not _alive(record):
        return final_phase(pod, record)
    return "Running" if initialized and begun else "Pending"


def final_phase(pod: Obj, record: PodRecord) -> str:
    """Succeeded or Failed: what becomes of a pod whose containers have all ended for good."""
    if record.end is not None:
        return "Failed"
    main = [record.containers.get(c["name"]) for c in spec.containers(pod)]
    succeeded = all(
        each is not None
        and each.current is not None
        and each.current.finished_at
        and each.current.exit_code == 0
        for each in main
    )
    return "Succeeded" if succeeded else "Failed"


def _attempt(record: PodRecord, container: Obj) -> Attempt | None:
    mine = record.containers.get(container["name"])
    return mine.current if mine else None


def _succeeded(record: PodRecord, container: Obj) -> bool:
    attempt = _attempt(record, container)
    return attempt is not None and attempt.succeeded


def _has_started(record: PodRecord, container: Obj) -> bool:
    attempt = _attempt(record, container)
    return attempt is not None and attempt.started


def _was_launched(record: PodRecord, container: Obj) -> bool:
    mine = record.containers.get(container["name"])
    return mine is not None and any(a is not None and a.launched for a in (mine.current, mine.last))


def _alive(record: PodRecord) -> bool:
    return any(each.current is not None and each.current.running for each in record.containers.values())


def _conditions(record: PodRecord, view: View, phase: str, init: list[Obj], main: list[Obj]) -> list[Obj]:
    pod = record.pod
    sidecars = {c["name"] for c in spec.init_containers(pod) if spec.is_sidecar(c)}
    conditions = [
        _condition("PodReadyToStartContainers", record.sandbox),
        _initialized(phase, init, sidecars),
    ]
    watched = [*main, *(status for status in init if status["name"] in sidecars)]
    containers_ready = _containers_ready(phase, watched)
    conditions += [_ready(pod, containers_ready), containers_ready]
    conditions += [
        _condition(kind, True, what.reason, what.message) | {"observedGeneration": what.generation}
        for kind, what in _resizes(record)
        if what is not None
    ]
    if spec.may_restart_all(pod):
        conditions.append(_restarting(phase, view))
    if record.end is not None and record.end.disruption:
        conditions.append(_condition("DisruptionTarget", True, "TerminationByKubelet", record.end.disruption))
    before = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or ()}
    before |= view.conditions
    return [_with_times(condition, before.get(condition["type"])) for condition in conditions]


def _condition(type: str, true: bool, reason: str = "", message: str = "") -> Obj:
    condition: Obj = {"type": type, "status": "True" if true else "False"}
    # Given even when empty, so that a patch removes what stood there before.
    return condition | {"reason": reason or None, "message": message or None}


def _resizes(record: PodRecord) -> list[tuple[str, Resize | None]]:
    return [(_PENDING, record.pending), (_PROGRESS, record.progress)]


def _restarting(phase: str, view: View) -> Obj:
    kind = "AllContainersRestarting"
    if phase in ("Succeeded", "Failed"):
        return _condition(kind, False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    if not view.restarting:
        return _condition(kind, False)
    message = "container exited with restart policy rule"
    return _condition(kind, True, "RestartAllContainersStarted", message)


def _initialized(phase: str, init: list[Obj], sidecars: Iterable[str]) -> Obj:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    lacking = [
        status["name"]
        for status in init
        if not (status["started"] if status["name"] in sidecars else status["ready"])
        and not (status["name"] in sidecars and phase in ("Failed", "Running"))
    ]
    if not lacking:
        return _condition("Initialized", True)
    message = f"containers with incomplete status: [{' '.join(lacking)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", message)


def _containers_ready(phase: str, main: list[Obj]) -> Obj:
    if phase in ("Succeeded", "Failed"):
        return _condition("ContainersReady", False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    unready = [status["name"] for status in main if not status["ready"]]
    if not unready:
        return _condition("ContainersReady", True)
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _condition("ContainersReady", False, "ContainersNotReady", message)


def _ready(pod: Obj, containers_ready: Obj) -> Obj:
    if containers_ready["status"] == "False":
        return containers_ready | {"type": "Ready"}
    present = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or ()}
    problems = []
    for gate in pod["spec"].get("readinessGates") or ():
        condition = present.get(gate["conditionType"])
        name = gate["conditionType"]
        if condition is None:
            problems.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif condition["status"] != "True":
            problems.append(
                f'the status of pod readiness gate "{name}" is not "True", but {condition["status"]}'
            )
    if not problems:
        return _condition("Ready", True)
    return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(problems))


def _with_times(condition: Obj, before: Mapping[str, object] | None) -> Obj:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if same and before is not None else None
    return condition | {"lastTransitionTime": since or now(), "lastProbeTime": None}

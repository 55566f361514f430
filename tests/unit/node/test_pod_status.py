"""What a pod's status says about its containers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import restarting, status
from wellhead.node.pods.record import Attempt, ContainerRecord, PodRecord
from wellhead.node.pods.status import Waiting


def _conditions(found: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in found["conditions"]}


def test_a_new_pod_is_pending_and_its_containers_are_being_created() -> None:
    found = status.compute(PodRecord(pods.pod()), pods.view())
    assert found["phase"] == "Pending"
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert _conditions(found) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
    }
    assert "podIP" not in found


def test_a_running_pod_is_ready_when_its_containers_are() -> None:
    found = status.compute(pods.record(pods.pod(), main=pods.running()), pods.view())
    assert found["phase"] == "Running"
    assert found["podIP"] == "10.244.1.7"
    assert found["hostIP"] == "10.240.0.11"
    assert set(_conditions(found).values()) == {"True"}
    assert found["containerStatuses"][0]["containerID"] == "crun://id"


def test_an_unready_container_makes_the_pod_unready_but_running() -> None:
    found = status.compute(pods.record(pods.pod(), main=pods.running(ready=False)), pods.view())
    assert found["phase"] == "Running"
    ready = next(each for each in found["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [main]"


def test_a_crash_looping_container_shows_how_its_last_run_ended() -> None:
    view = pods.view(waiting={"main": Waiting("CrashLoopBackOff", "back-off 10s")})
    found = status.compute(pods.record(pods.pod(), main=pods.ended(7, number=2)), view)
    one = found["containerStatuses"][0]
    assert found["phase"] == "Running"
    assert one["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert one["lastState"]["terminated"]["exitCode"] == 7
    assert one["restartCount"] == 2


def test_a_container_tells_its_user_and_what_is_mounted() -> None:
    mounts = [
        {"name": "a", "mountPath": "/a"},
        {"name": "b", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        {"name": "c", "mountPath": "/c", "readOnly": True},
    ]
    main = pods.running()
    assert main.current is not None
    main.current.user = (1000, 0, 2000)
    record = pods.record(pods.pod(pods.container("main", volumeMounts=mounts)), main=main)
    [found] = status.compute(record, pods.view())["containerStatuses"]
    assert found["user"] == {"linux": {"uid": 1000, "gid": 0, "supplementalGroups": [0, 2000]}}
    assert found["volumeMounts"] == [
        {"name": "a", "mountPath": "/a"},
        {"name": "b", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Enabled"},
        {"name": "c", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "Disabled"},
    ]


def test_who_says_that_a_pod_has_ended_is_believed() -> None:
    pod = pods.pod()
    pod["status"]["phase"] = "Failed"
    found = status.compute(pods.record(pod, main=pods.running()), pods.view())
    assert found["phase"] == "Failed"
    assert _conditions(found)["Ready"] == "False"


def test_between_a_container_and_its_successor_nothing_is_said() -> None:
    record, view = pods.record(pods.pod(), main=pods.ended(137)), pods.view()
    current = record.of("main").current
    assert current is not None
    assert not status.is_passing(record, view)
    current.replaced = True
    assert status.is_passing(record, view)
    following = Attempt("next", 1, "busybox:2", "sha256:2")
    record.containers["main"] = ContainerRecord(following, last=current)
    assert status.is_passing(record, view)
    view.waiting["main"] = Waiting("ErrImagePull")
    assert not status.is_passing(record, view)
    view.waiting.clear()
    following.launched = True
    assert not status.is_passing(record, view)


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
def test_a_pod_that_has_ended_succeeded_or_failed(code: int, phase: str) -> None:
    record = pods.record(pods.pod(restartPolicy="Never"), main=pods.ended(code))
    found = status.compute(record, pods.view(ended=True))
    assert found["phase"] == phase
    assert found["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code
    ready = next(each for each in found["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == ("PodCompleted" if code == 0 else "PodFailed")


def test_a_pod_is_pending_until_its_init_containers_are_done() -> None:
    pod = pods.pod(initContainers=[pods.container("first")])
    found = status.compute(pods.record(pod, first=pods.running()), pods.view())
    assert found["phase"] == "Pending"
    assert _conditions(found)["Initialized"] == "False"
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    found = status.compute(pods.record(pod, first=pods.ended(0), main=pods.running()), pods.view())
    assert found["phase"] == "Running"
    assert found["initContainerStatuses"][0]["ready"]
    assert _conditions(found)["Initialized"] == "True"


def test_a_sidecar_counts_for_readiness_and_is_initialized_when_started() -> None:
    pod = pods.pod(initContainers=[pods.container("side", restartPolicy="Always")])
    found = status.compute(pods.record(pod, side=pods.running(ready=False), main=pods.running()), pods.view())
    assert found["phase"] == "Running"
    assert _conditions(found)["Initialized"] == "True"
    assert _conditions(found)["Ready"] == "False"


def test_readiness_gates_are_waited_for() -> None:
    pod = pods.pod(readinessGates=[{"conditionType": "lb/attached"}])
    record = pods.record(pod, main=pods.running())
    found = status.compute(record, pods.view())
    assert _conditions(found)["ContainersReady"] == "True"
    assert _conditions(found)["Ready"] == "False"
    pod["status"] = {"conditions": [{"type": "lb/attached", "status": "True"}]}
    assert _conditions(status.compute(record, pods.view()))["Ready"] == "True"


def test_a_condition_keeps_its_time_while_it_stays_the_same() -> None:
    pod = pods.pod()
    pod["status"] = {
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}]
    }
    found = status.compute(pods.record(pod, main=pods.running()), pods.view())
    times = {each["type"]: each["lastTransitionTime"] for each in found["conditions"]}
    assert times["Ready"] == "2025-01-01T00:00:00Z"
    assert times["ContainersReady"] != times["Ready"]


def test_a_pod_shows_its_addresses_of_both_families_and_the_primary_one_alone() -> None:
    record = pods.record(pods.pod(), main=pods.running())
    record.ips = ("10.244.1.7", "fd00:10:244:1::7")
    found = status.compute(record, status.View(("10.240.0.11", "fd00:10:240::11")))
    assert (found["podIP"], found["hostIP"]) == ("10.244.1.7", "10.240.0.11")
    assert found["podIPs"] == [{"ip": "10.244.1.7"}, {"ip": "fd00:10:244:1::7"}]
    assert found["hostIPs"] == [{"ip": "10.240.0.11"}, {"ip": "fd00:10:240::11"}]


def test_a_host_network_pod_has_the_nodes_address() -> None:
    record = pods.record(pods.pod(hostNetwork=True), main=pods.running())
    record.ips = ()
    assert status.compute(record, pods.view())["podIP"] == "10.240.0.11"


def test_all_containers_may_be_restarting() -> None:
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}]
    pod = pods.pod(pods.container("main", restartPolicyRules=rules))

    def said(record: PodRecord, **view: Any) -> list[tuple[str, str | None]]:
        found = status.compute(record, pods.view(**view))["conditions"]
        named = [each for each in found if each["type"] == "AllContainersRestarting"]
        return [(each["status"], each["reason"]) for each in named]

    running = pods.record(pod, main=pods.running())
    assert said(running) == [("False", None)]
    assert said(running, restarting=True) == [("True", "RestartAllContainersStarted")]
    running.phase = "Failed"
    assert said(running, restarting=True) == [("False", "PodFailed")]
    assert said(pods.record(pods.pod(), main=pods.running())) == []


def test_who_was_restarted_with_all_others_waits_with_upstreams_words() -> None:
    record = pods.record(pods.pod(), main=pods.ended(0, 2))
    main = record.of("main").current
    assert main is not None
    restarting.mark(main)
    [found] = status.compute(record, pods.view(waiting={"main": restarting.WAITING}))["containerStatuses"]
    assert found["state"]["waiting"]["reason"] == "RestartingAllContainers"
    last = found["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "RestartingAllContainers")

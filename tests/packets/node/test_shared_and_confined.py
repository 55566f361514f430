"""What a pod's containers share of each other, and what keeps them within bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, eventually
from tests.packets.node.cluster_pods import container, create, shell, status, wait
from tests.patience import until

pytestmark = pytest.mark.usefixtures("no_pods_left")


def test_containers_may_share_their_processes(lab: Lab) -> None:
    script = "sleep 4321 & exec sleep 1234"
    create(lab, "sharing", shell("main", script), shell("other", "sleep 1000"), shareProcessNamespace=True)
    wait(lab, "sharing")

    def running() -> dict[str, str]:
        """PIDs by what runs."""
        listed = lab.kubectl("exec", "sharing", "-c", "other", "--", "ps", "-o", "pid,args").splitlines()
        found = [line.split(None, 1) for line in listed[1:]]
        return {what: pid for pid, what in found if not what.startswith("ps")}

    everybody = ["/pause -P", "sleep 1000", "sleep 1234", "sleep 4321"]
    before = until(running, lambda found: sorted(found) == everybody)
    assert before["/pause -P"] == "1"
    lab.kubectl("exec", "sharing", "-c", "other", "--", "kill", "-9", before["sleep 1234"])
    eventually(lambda: container(lab, "sharing")["restartCount"], 1)
    # Its first run leaves nothing behind that would be found beside the next.
    eventually(lambda: sorted(running()), everybody)
    assert running()["sleep 4321"] != before["sleep 4321"]


def test_system_calls_are_filtered_for_whom_a_pod_says_so(lab: Lab) -> None:
    confined = {"seccompProfile": {"type": "RuntimeDefault"}}
    free = {"seccompProfile": {"type": "Unconfined"}}
    containers = shell("main", "sleep 1000"), shell("free", "sleep 1000", securityContext=free)
    create(lab, "confined", *containers, securityContext=confined)
    wait(lab, "confined")
    for name, mode in (("main", "2"), ("free", "0")):
        found = lab.kubectl(
            "exec", "confined", "-c", name, "--", "cat", "/proc/1/status", "/proc/self/status"
        )
        modes = [line.split()[1] for line in found.splitlines() if line.startswith("Seccomp:")]
        assert modes == [mode, mode]


def test_a_pod_may_have_users_of_its_own(lab: Lab, tmp_path: Path) -> None:
    tmp_path.joinpath("mine").write_text("root's")
    volumes = [{"name": "own", "emptyDir": {}}, {"name": "host", "hostPath": {"path": str(tmp_path)}}]
    mounts = [{"name": "own", "mountPath": "/own"}, {"name": "host", "mountPath": "/host"}]
    script = "touch /own/file /host/file /file && exec sleep 1000"
    unmasked = {"procMount": "Unmasked", "capabilities": {"add": ["SYS_RESOURCE"]}}
    container = shell("main", script, volumeMounts=mounts, securityContext=unmasked)
    user = shell("user", "sleep 1000", securityContext={"runAsUser": 1000}, workingDir="/no/such")
    spec = {"volumes": volumes, "shareProcessNamespace": True, "hostUsers": False}
    create(lab, "theirs", container, user, **spec)
    wait(lab, "theirs")

    def run(*command: str, within: str = "main") -> list[str]:
        return lab.kubectl("exec", "theirs", "-c", within, "--", *command, check=False).split()

    inside, first, size = run("cat", "/proc/self/uid_map")
    assert (inside, size) == ("0", "65536")
    assert int(first) >= 65536
    files = ["/host/mine", "/etc/passwd", "/etc/hosts", "/own/file", "/host/file", "/file"]
    eventually(lambda: run("stat", "-c", "%u", *files), ["0"] * len(files))
    assert run("stat", "-c", "%u", "/no", within="user") == ["0"]
    assert tmp_path.joinpath("file").stat().st_uid == 0
    assert tmp_path.stat().st_uid == os.getuid()
    # Standard input, which its user owns, isn't the machine's.
    assert Path(os.devnull).stat().st_uid == 0
    assert "/proc/sys" not in run("cat", "/proc/mounts")


def test_what_is_run_in_a_container_is_held_to_its_limits(lab: Lab) -> None:
    create(lab, "held", shell("main", "sleep 1000", resources={"limits": {"memory": "64Mi"}}))
    wait(lab, "held")
    there = lab.kubectl("exec", "held", "--", "cat", "/proc/1/cgroup", "/proc/self/cgroup").splitlines()
    half = len(there) // 2
    assert there[:half] == there[half:]
    assert any("wellhead" in line for line in there)


def test_a_containers_exit_may_restart_them_all(lab: Lab) -> None:
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]
    volumes = [{"name": "runs", "emptyDir": {}}]
    mounts = [{"name": "runs", "mountPath": "/runs"}]
    init = shell("first", "echo x >>/runs/first", volumeMounts=mounts)
    main = shell(
        "main",
        "[ $(wc -l </runs/first) -ge 2 ] || exit 42; sleep 1000",
        volumeMounts=mounts,
        restartPolicy="Never",
        restartPolicyRules=rules,
    )
    sidecar = shell("beside", "sleep 1000", restartPolicy="Always")
    spec = {"initContainers": [init, sidecar], "volumes": volumes, "restartPolicy": "Never"}
    create(lab, "again", main, shell("other", "sleep 1000"), **spec)

    def restarts() -> dict[str, int]:
        found = status(lab, "again")
        kinds = ("initContainerStatuses", "containerStatuses")
        return {each["name"]: each["restartCount"] for kind in kinds for each in found.get(kind) or ()}

    eventually(restarts, dict.fromkeys(("first", "beside", "main", "other"), 1))
    wait(lab, "again")
    last = container(lab, "again", "other")["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("RestartingAllContainers", 137)
    [said] = [
        each for each in status(lab, "again")["conditions"] if each["type"] == "AllContainersRestarting"
    ]
    assert said["status"] == "False"

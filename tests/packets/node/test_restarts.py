"""The agent is killed, and the machine rebooted: pods are not touched, or restarted, and nothing is lost."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

from tests.cluster.lab import Lab, eventually
from tests.packets.node.cluster_pods import (
    TICKING,
    container,
    create,
    processes,
    shell,
    status,
    wait,
    waits_for,
)
from tests.patience import until
from wellhead.linux import proc


def _processes_of(lab: Lab, *wanted: str) -> list[int]:
    """Process numbers on the host, by words that environment and command line together must have."""
    found = []
    for pid in proc.pids():
        mine = {"WELLHEAD_CLUSTER": lab.name, "WELLHEAD_MACHINE": "node-1"}
        command = " ".join(proc.arguments(pid))
        if mine.items() <= proc.environment(pid).items() and all(word in command for word in wanted):
            found.append(pid)
    return found


def _agent(lab: Lab) -> int:
    # One that is just being killed is seen for a moment, and goes while another comes.
    (agent,) = until(lambda: _processes_of(lab, "wellhead node-agent"), lambda found: len(found) == 1)
    return agent


def _kill_agent(lab: Lab) -> None:
    agent = _agent(lab)
    os.kill(agent, signal.SIGKILL)
    until(lambda: agent not in _processes_of(lab, "wellhead node-agent"))


def _numbers(log: str) -> list[int]:
    return [int(line) for line in log.split() if line.isdigit()]


def test_a_killed_agent_s_pods_go_on_and_what_happened_meanwhile_is_noticed(lab: Lab, tmp_path: Path) -> None:
    mount = {"name": "v", "mountPath": "/v"}
    ending = shell("ending", "until [ -e /v/end ]; do sleep 0.1; done; exit 4", volumeMounts=[mount])
    volume = {"name": "v", "hostPath": {"path": str(tmp_path)}}
    create(lab, "ticking", shell("main", TICKING), ending, restartPolicy="Never", volumes=[volume])
    create(lab, "doomed", shell("main", "sleep 1000"))
    wait(lab, "ticking")
    wait(lab, "doomed")
    before = container(lab, "ticking")
    agent = _agent(lab)
    os.kill(agent, signal.SIGSTOP)
    (tmp_path / "end").touch()
    lab.kubectl("delete", "pod", "doomed", "--wait=false")
    eventually(lambda: len(processes(lab)), 2)
    os.kill(agent, signal.SIGKILL)
    lab.kubectl("wait", "--for=delete", "pod/doomed", "--timeout=60s")
    eventually(
        lambda: (container(lab, "ticking", "ending")["state"].get("terminated") or {}).get("exitCode"), 4
    )
    after = container(lab, "ticking")
    assert after["containerID"] == before["containerID"]
    assert after["restartCount"] == 0
    numbers = _numbers(lab.kubectl("logs", "ticking", "-c", "main"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(processes(lab)) == 1
    lab.kubectl("delete", "pod", "ticking")


def test_an_agent_killed_while_it_starts_a_pod_starts_it_once(lab: Lab) -> None:
    for index in range(4):
        create(lab, f"new-{index}", shell("main", "echo begun; sleep 1000"))
        _kill_agent(lab)
    for index in range(4):
        lab.kubectl("wait", "--for=condition=Ready", f"pod/new-{index}", "--timeout=60s")
        eventually(partial(lab.kubectl, "logs", f"new-{index}", check=False), "begun\n")
    eventually(lambda: len(processes(lab)), 4)
    addresses = {status(lab, f"new-{index}")["podIP"] for index in range(4)}
    assert len(addresses) == 4
    lab.kubectl("delete", "pod", "--all")


def test_a_reboot_restarts_pods_with_their_addresses_and_counts_it(lab: Lab) -> None:
    create(lab, "always", shell("main", "sleep 1000"))
    create(lab, "never", shell("main", "sleep 1000"), restartPolicy="Never")
    wait(lab, "always")
    wait(lab, "never")
    address = status(lab, "always")["podIP"]
    for process in _processes_of(lab, "catatonit"):
        os.kill(process, signal.SIGKILL)
    lab.wellhead("up", "--nodes", "1")
    eventually(lambda: container(lab, "always")["restartCount"], 1)
    wait(lab, "always")
    assert container(lab, "always")["lastState"]["terminated"]["reason"] == "Unknown"
    assert status(lab, "always")["podIP"] == address
    eventually(lambda: status(lab, "never")["phase"], "Failed")
    assert lab.kubectl("exec", "always", "--", "echo", "alive") == "alive\n"
    lab.kubectl("delete", "pod", "--all")


def test_a_keepers_death_is_not_held_against_its_container(lab: Lab) -> None:
    script = "while [ ! -e /v/end ]; do sleep 0.1; done; rm /v/end; exit 7"
    main = shell("main", script, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    create(lab, "kept", main, volumes=[{"name": "v", "emptyDir": {}}])
    wait(lab, "kept")
    for restarts in (1, 2, 3):
        (conmon,) = _processes_of(lab, "conmon ")
        os.kill(conmon, signal.SIGKILL)
        # At once: three back-offs would take 70 seconds.
        eventually(lambda: container(lab, "kept").get("restartCount"), restarts)
        eventually(lambda: "running" in container(lab, "kept")["state"], True)
    last = container(lab, "kept")["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "ContainerStatusUnknown")
    assert "conmon" in last["message"]
    # Its own failure is its first, and counts as such.
    lab.kubectl("exec", "kept", "--", "touch", "/v/end")
    again = until(lambda: container(lab, "kept"), lambda now: now["restartCount"] == 4 and now["state"])
    assert again["lastState"]["terminated"]["exitCode"] == 7
    eventually(lambda: "running" in container(lab, "kept")["state"], True)
    lab.kubectl("exec", "kept", "--", "touch", "/v/end")
    why = waits_for(lab, "kept", "CrashLoopBackOff")
    assert why.startswith("back-off 10s restarting failed container=main")
    lab.kubectl("delete", "pod", "kept")

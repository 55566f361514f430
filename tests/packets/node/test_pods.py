"""Pods on a node, as kubectl sees them: what runs, what it is given, how it ends, what is left."""

from __future__ import annotations

import json
import subprocess
import time
from functools import partial

import pytest

from tests.cluster.lab import BIN, Lab, eventually
from tests.packets.node.cluster_pods import TICKING, container, create, shell, status, wait, waits_for
from tests.patience import PATIENCE, until
from wellhead.lab.cluster import Cluster
from wellhead.node.logs import rotation
from wellhead.node.runtime.containers import reopen_log

pytestmark = pytest.mark.usefixtures("no_pods_left")


def test_a_program_in_a_container_begins_with_signals_as_usual(lab: Lab) -> None:
    hook = {"postStart": {"exec": {"command": ["cp", "/proc/self/status", "/tmp/hook"]}}}
    create(lab, "signals", {"name": "main", "command": ["sleep", "1000"], "lifecycle": hook})
    wait(lab, "signals")
    for status_file in ("/proc/1/status", "/proc/self/status", "/tmp/hook"):
        said = lab.kubectl("exec", "signals", "--", "grep", "-E", "Sig(Ign|Blk)", status_file)
        assert {int(line.split()[1], 16) for line in said.splitlines()} == {0}


def test_what_a_pod_is_given(lab: Lab) -> None:
    lab.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "1"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"pw": "s3cret"}},
    )
    script = (
        "cat /e/made /cm/a /key/pw /fields/app; echo; id -u; id -G; echo $IP $(hostname) $PW;"
        "touch /rootfs 2>/dev/null || echo read-only; grep CapEff /proc/self/status;"
        "df -k /dev/shm | tail -1;"
        "ls /var/run/secrets/kubernetes.io/serviceaccount; sleep 1000"
    )
    create(
        lab,
        "given",
        shell(
            "main",
            script,
            env=[
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "key", "key": "pw"}}},
            ],
            securityContext={
                "runAsUser": 1000,
                "runAsGroup": 1001,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            volumeMounts=[
                {"name": "e", "mountPath": "/e"},
                {"name": "cm", "mountPath": "/cm"},
                {"name": "key", "mountPath": "/key"},
                {"name": "fields", "mountPath": "/fields"},
            ],
        ),
        securityContext={"fsGroup": 2000},
        initContainers=[
            shell(
                "first",
                "echo made > /e/made",
                image="busybox",
                volumeMounts=[{"name": "e", "mountPath": "/e"}],
            )
        ],
        volumes=[
            {"name": "e", "emptyDir": {}},
            {"name": "cm", "configMap": {"name": "cm"}},
            {"name": "key", "secret": {"secretName": "key"}},
            {
                "name": "fields",
                "downwardAPI": {
                    "items": [{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]
                },
            },
        ],
    )
    wait(lab, "given")
    address = status(lab, "given")["podIP"]
    lines = until(
        lambda: lab.kubectl("logs", "given", "-c", "main").splitlines(), lambda said: said[-1:] == ["token"]
    )
    assert lines[:2] == ["made", "1s3cretgiven"]
    assert lines[2:4] == ["1000", "1001 2000"]
    assert lines[4:6] == [f"{address} given s3cret", "read-only"]
    assert lines[6].split() == ["CapEff:", "0000000000000000"]
    assert "65536" in lines[7]
    assert lines[8:] == ["ca.crt", "namespace", "token"]
    # A volume follows its object while the pod runs.
    lab.kubectl("patch", "configmap", "cm", "-p", '{"data":{"a":"2"}}')
    eventually(lambda: lab.kubectl("exec", "given", "-c", "main", "--", "cat", "/cm/a"), "2")


def test_a_crashing_container_is_restarted_after_a_delay_and_its_last_run_is_known(lab: Lab) -> None:
    create(lab, "crash", shell("main", "echo run; echo why > /dev/termination-log; exit 7"))
    status = until(
        lambda: container(lab, "crash"),
        lambda found: (found.get("state", {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff",
    )
    restarts = status["restartCount"]
    assert restarts >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert status["lastState"]["terminated"]["message"] == "why\n"
    assert lab.kubectl("logs", "--previous", "crash") == "run\n"
    delay = ("10s", "20s", "40s", "1m20s")[restarts - 1]
    assert f"back-off {delay} restarting failed container=main" in status["state"]["waiting"]["message"]


def test_probes_decide_about_readiness_and_restarts(lab: Lab) -> None:
    # Long enough for a machine with much else to do; what doesn't answer at all is found out all the same.
    probe = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 10}
    create(
        lab,
        "probed",
        {
            "name": "main",
            "image": "k8s.gcr.io/echoserver:1.4",
            "ports": [{"name": "http", "containerPort": 8080}],
            "startupProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1, "failureThreshold": 60},
            "readinessProbe": {"exec": {"command": ["test", "!", "-e", "/tmp/unready"]}, **probe},
            "livenessProbe": {"httpGet": {"port": "http"}, **probe},
        },
    )
    wait(lab, "probed")
    lab.kubectl("exec", "probed", "--", "touch", "/tmp/unready")
    wait(lab, "probed", "condition=Ready=False")
    lab.kubectl("exec", "probed", "--", "rm", "/tmp/unready")
    wait(lab, "probed")
    lab.kubectl(
        "exec", "probed", "--", "sh", "-c", "kill -STOP $(cat /tmp/nginx.pid) $(pidof nginx)", check=False
    )
    until(lambda: container(lab, "probed")["restartCount"] >= 1)
    wait(lab, "probed")
    events = lab.kubectl("get", "events", "--field-selector", "involvedObject.name=probed")
    assert "failed liveness probe, will be restarted" in events
    assert "Readiness probe failed" in events


def test_a_deleted_pod_ends_in_order(lab: Lab) -> None:
    """Everybody's preStop, then SIGTERM to the container, then the sidecar, and the exit codes are told."""
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}}}
    trap = "trap 'cut -d. -f1-2 /proc/uptime | cut -d\\  -f1; exit 0' TERM; echo ready; "
    trap += "while :; do sleep 0.02; done"
    create(
        lab,
        "ending",
        shell("main", trap, lifecycle=hook),
        initContainers=[shell("side", trap, image="busybox", restartPolicy="Always", lifecycle=hook)],
        terminationGracePeriodSeconds=600,
    )
    wait(lab, "ending")
    kubectl = [str(BIN / "kubectl"), "--kubeconfig", lab.kubeconfig, "logs", "-f", "ending", "-c"]
    followers = {
        name: subprocess.Popen([*kubectl, name], stdout=subprocess.PIPE, text=True)
        for name in ("main", "side")
    }
    for each in followers.values():
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    lab.kubectl("delete", "pod", "ending")  # it doesn't take its grace period, or kubectl would be given up
    said = {name: follower.communicate(timeout=PATIENCE)[0].split() for name, follower in followers.items()}
    assert said["main"][0] == said["side"][0] == "stopping"
    assert float(said["main"][1]) <= float(said["side"][1])


def test_a_container_that_ignores_the_signal_is_killed_when_its_time_is_over(lab: Lab) -> None:
    create(lab, "deaf", shell("main", "trap '' TERM; while :; do sleep 0.1; done"))
    wait(lab, "deaf")
    began = time.monotonic()
    lab.kubectl("delete", "pod", "deaf")
    assert time.monotonic() - began > 0.9


def test_a_missing_image_is_named_and_a_pod_may_run_out_of_time(lab: Lab) -> None:
    create(lab, "missing", {"name": "main", "image": "nginx:1.99"})
    why = waits_for(lab, "missing", "ErrImagePull", "ImagePullBackOff")
    assert "no image docker.io/library/nginx:1.99 on this machine" in why
    assert "docker.io/library/busybox:latest" in why
    lab.kubectl("patch", "pod", "missing", "-p", '{"spec":{"activeDeadlineSeconds":1}}')
    eventually(lambda: status(lab, "missing")["phase"], "Failed")
    assert status(lab, "missing")["reason"] == "DeadlineExceeded"


def test_a_running_pods_image_and_deadline_may_change(lab: Lab) -> None:
    create(lab, "changing", shell("main", "sleep 1000"), restartPolicy="Never")
    wait(lab, "changing")
    lab.kubectl("set", "image", "pod/changing", "main=k8s.gcr.io/echoserver:1.4")
    eventually(lambda: container(lab, "changing").get("restartCount"), 1)
    wait(lab, "changing")
    assert container(lab, "changing")["image"] == "k8s.gcr.io/echoserver:1.4"
    assert "nginx" in lab.kubectl("exec", "changing", "--", "ls", "/etc")
    lab.kubectl("patch", "pod", "changing", "-p", '{"spec":{"activeDeadlineSeconds":1}}')
    eventually(lambda: status(lab, "changing").get("reason"), "DeadlineExceeded")
    eventually(lambda: status(lab, "changing")["phase"], "Failed")


def test_a_pod_that_completes_succeeds_and_its_log_stays(lab: Lab) -> None:
    create(lab, "done", shell("main", "echo result"), restartPolicy="Never")
    wait(lab, "done", "jsonpath={.status.phase}=Succeeded")
    assert lab.kubectl("logs", "done") == "result\n"
    assert json.dumps(container(lab, "done")["state"]).count('"reason": "Completed"') == 1


def test_a_host_network_pod_is_on_the_node(lab: Lab) -> None:
    create(lab, "hostly", shell("main", "hostname; sleep 1000"), hostNetwork=True)
    wait(lab, "hostly")
    assert status(lab, "hostly")["podIP"] == "10.240.0.11"
    eventually(lambda: lab.kubectl("logs", "hostly"), "node-1\n")


def test_only_a_privileged_container_reaches_the_hosts_devices(lab: Lab) -> None:
    mounted = {"volumes": [{"name": "host", "hostPath": {"path": "/dev"}}]}
    mount = {"volumeMounts": [{"name": "host", "mountPath": "/host"}]}
    script = (
        "mknod /null c 1 3; cat /host/null >/dev/null; grep -c ' /dev/shm .*nosuid,nodev,noexec' /proc/mounts"
    )
    create(lab, "plain", shell("main", script, **mount), **mounted, restartPolicy="Never")
    create(
        lab,
        "privileged",
        shell(
            "main", "mknod /null c 1 3 && cat /host/null /null", **mount, securityContext={"privileged": True}
        ),
        **mounted,
        restartPolicy="Never",
    )
    wait(lab, "plain", "jsonpath={.status.phase}=Succeeded")
    said = lab.kubectl("logs", "plain")
    assert "mknod: /null: Operation not permitted" in said
    assert "can't open '/host/null': Permission denied" in said
    assert "1" in said.splitlines()
    wait(lab, "privileged", "jsonpath={.status.phase}=Succeeded")
    assert lab.kubectl("logs", "privileged") == ""


def test_how_volumes_are_mounted_may_be_said_in_detail(lab: Lab) -> None:
    script = (
        "stat -c %a /v; hostname; cp /bin/busybox /v/copy; /v/copy true 2>&1; grep ' /v ' /proc/self/mounts;"
        "touch /host/below/x; stat -L -c %u /cm/a"
    )
    mounts = [
        {"name": "v", "mountPath": "/v", "bindMountOptions": ["noexec", "nosuid"]},
        {"name": "h", "mountPath": "/host", "readOnly": True, "recursiveReadOnly": "Enabled"},
        {"name": "cm", "mountPath": "/cm"},
    ]
    lab.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "1"}})
    lab.on("node-1", "sh", "-c", "mkdir -p /run/c-test/below; mount -t tmpfs x /run/c-test/below")
    create(
        lab,
        "detailed",
        shell("main", script, volumeMounts=mounts),
        restartPolicy="Never",
        hostnameOverride="a.longer.name",
        volumes=[
            {"name": "v", "emptyDir": {"mode": 0o750}},
            {"name": "h", "hostPath": {"path": "/run/c-test"}},
            {"name": "cm", "configMap": {"name": "cm", "defaultUser": 1234}},
        ],
    )
    wait(lab, "detailed", "jsonpath={.status.phase}=Succeeded")
    said = lab.kubectl("logs", "detailed").splitlines()
    lab.on("node-1", "umount", "/run/c-test/below")
    assert {"750", "a.longer.name", "1234", "touch: /host/below/x: Read-only file system"} <= set(said)
    assert any("/v/copy" in line and "Permission denied" in line for line in said)
    (options,) = [line.split()[3].split(",") for line in said if " /v " in line]
    assert {"noexec", "nosuid", "nodev"} <= set(options)


def test_what_has_no_effect_is_said_once(lab: Lab) -> None:
    create(lab, "limited", shell("main", "sleep 1000"), securityContext={"seLinuxOptions": {"level": "s0"}})
    wait(lab, "limited")

    text = "spec.securityContext.seLinuxOptions has no effect"

    def warnings() -> list[tuple[str, int]]:
        events = json.loads(
            lab.kubectl("get", "events", "--field-selector", "reason=Unsupported", "-o", "json")
        )
        return [
            (each["message"].rpartition(": ")[0], each["count"])
            for each in events["items"]
            if each["involvedObject"]["name"] == "limited"
        ]

    eventually(warnings, [(text, 1)])


def test_a_log_that_is_rotated_goes_on_in_another_file(lab: Lab) -> None:
    create(lab, "talking", shell("main", TICKING))
    wait(lab, "talking")
    pod = lab.get("pod", "talking")
    node = Cluster(lab.name).node_directory(pod["spec"]["nodeName"])
    directory = node / "pods" / pod["metadata"]["uid"]
    log = directory / "logs/main/0.log"
    until(lambda: log.read_bytes().count(b"\n") > 3)
    rotation.rotate(log, 5, partial(reopen_log, directory / "containers/main/0"))
    until(lambda: log.exists() and b"\n" in log.read_bytes())
    [older] = rotation.rotated(log)
    lines = [line for path in (older, log) for line in path.read_bytes().split(b"\n")[:-1]]
    assert [int(line.split()[-1]) for line in lines] == list(range(1, len(lines) + 1))
    first = int(log.read_bytes().split(b"\n")[0].split()[-1])
    assert lab.kubectl("logs", "talking").startswith(f"{first}\n")

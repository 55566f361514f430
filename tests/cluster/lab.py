"""A cluster for tests: `wellhead` and `kubectl` as a person types them, and the few objects tests need."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster import asking
from tests.patience import PATIENCE, until
from wellhead.lab import machines, processes
from wellhead.lab.cluster import Cluster

Obj = dict[str, Any]

ECHOSERVER = "k8s.gcr.io/echoserver:1.4"
CLIENT = "198.51.100.79"
NODES = ("node-1", "node-2", "node-3")
INTERNAL_IP = {"node-1": "10.240.0.11", "node-2": "10.240.0.12", "node-3": "10.240.0.13"}
EXTERNAL_IP = {"node-1": "192.0.2.11", "node-2": "192.0.2.12", "node-3": "192.0.2.13"}
# What a packet that a node masquerades carries: its InternalIP, or its gateway on the pod network.
ADDRESSES = {node: {INTERNAL_IP[node], f"10.244.{number}.1"} for number, node in enumerate(NODES, 1)}
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Lab:
    """One running cluster."""

    name: str
    proxy_mode: str = "iptables"

    def wellhead(self, *arguments: str, timeout: float = 3 * PATIENCE, check: bool = True) -> str:
        """Run `wellhead …` on this cluster; its standard output. Fails the test if it fails."""
        command = [str(BIN / "wellhead"), arguments[0], "--name", self.name, *arguments[1:]]
        return _run(command, timeout=timeout, check=check)

    def on(self, host: str, *command: str, timeout: float = 3 * PATIENCE, check: bool = True) -> str:
        """Run a command on a host, in its namespaces: as `wellhead exec`, which costs ten times as much, but
        without its kubectl."""
        first = asking.first_process(self.name, host)
        if not first:
            assert not check, f"{host} of {self.name} is off"
            return ""
        environment = {
            **os.environ,
            "PATH": machines.SYSTEM_PATH,
            processes.CLUSTER: self.name,
            processes.MACHINE: host,
        }
        enter = ("nsenter", f"--target={first}", "--net", "--mount", "--uts", "--pid", "--")
        return _run([*enter, *command], timeout=timeout, check=check, environment=environment)

    @contextmanager
    def background(self, host: str, *command: str, ready: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs on a host meanwhile; it has printed the line `ready` before this goes on."""
        line = [str(BIN / "wellhead"), "exec", "--name", self.name, host, "--", *command]
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline().strip() == ready
                yield process
            finally:
                process.terminate()

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 3 * PATIENCE
    ) -> str:
        """Run kubectl on the host."""
        command = [str(BIN / "kubectl"), "--kubeconfig", self.kubeconfig, *arguments]
        return _run(command, stdin=stdin, timeout=timeout, check=check)

    @property
    def kubeconfig(self) -> str:
        return str(Cluster(self.name).kubeconfig("admin"))

    def get(self, kind: str, name: str = "", namespace: str = "default", selector: str = "") -> Obj:
        """An object, or the list of a kind's."""
        found: Obj = asking.get(self.kubeconfig, kind, name, namespace, selector)
        return found

    def apply(self, *objects: Obj) -> None:
        """Create or change objects."""
        for each in objects:
            asking.apply(self.kubeconfig, each)

    def curl(self, host: str, url: str, seconds: float = 2) -> str | None:
        """What the echoserver at `url` sees as the client, asked from `host`; None if nobody answers."""
        command = ("curl", "-sS", "--max-time", str(seconds), "--noproxy", "*", url)
        return client_address(self.on(host, *command, check=False))

    def wget(self, pod: str, url: str, namespace: str, container: str = "main") -> str | None:
        """The same from a busybox pod."""
        ask = ("wget", "-T", "2", "-qO", "-", url)
        answer = self.kubectl("exec", "-n", namespace, pod, "-c", container, "--", *ask, check=False)
        return client_address(answer)

    def run_pod(self, name: str, node: str, namespace: str, image: str = ECHOSERVER, **spec: Any) -> Obj:
        """A pod pinned to `node`, labelled app=NAME, as it is once Ready."""
        container: Obj = {"name": "main", "image": image}
        if image == "busybox":
            container["command"] = ["sleep", "3600"]
        body = {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [container], **spec}
        metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body})
        self.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        return self.get("pod", name, namespace)

    def expose(self, name: str, app: str, namespace: str, **spec: Any) -> Obj:
        """A Service on port 80 for the echoserver pods labelled app=APP, as it was created.

        `annotations` are the Service's, all else is its spec.
        """
        body = {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
        metadata = {"name": name, "namespace": namespace, "annotations": body.pop("annotations", {})}
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": body})
        return self.get("service", name, namespace)

    def forwarded(self, service: Obj) -> None:
        """Wait until every node forwards this Service's node port, and so knows all that were made before."""
        port = service["spec"]["ports"][0]["nodePort"]
        for address in (EXTERNAL_IP[node] for node in NODES):
            until(partial(self.curl, "client", f"http://{address}:{port}/"))

    def vips(self, service: str, namespace: str, count: int) -> list[str]:
        """The addresses of a Service's load balancer, once there are so many."""

        def given() -> list[str]:
            status = self.get("service", service, namespace)["status"]
            return [each["ip"] for each in status["loadBalancer"].get("ingress", ())]

        eventually(lambda: len(given()), count)
        return given()


@contextmanager
def kept_up(lab: Lab, *options: str) -> Iterator[Lab]:
    """The cluster that `lab` names, with these options of `up`, meanwhile.

    It goes with this process, also when that is killed: someone waits for the end of a pipe that it holds.
    """
    script = "import subprocess, sys; sys.stdin.read(); subprocess.run(sys.argv[1:], capture_output=True)"
    command = [sys.executable, "-c", script, str(BIN / "wellhead"), "down", "--name", lab.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        try:
            lab.wellhead("up", *options)
            yield lab
        finally:
            lab.wellhead("down")


def pid_of(lab: Lab, machine: str, component: str) -> int:
    """The process of a component (if empty, a machine's first), as the host counts; 0 if it isn't running."""
    for each in processes.find(lab.name):
        if each.machine == machine and (each.component == component if component else each.is_init):
            return each.pid
    return 0


def kill(lab: Lab, machine: str, component: str) -> int:
    """Kill a component (see `pid_of`) as soon as it runs. Returns which process that was."""
    pid = until(lambda: pid_of(lab, machine, component))  # 0 would be ourselves, and all that we started
    os.kill(pid, signal.SIGKILL)
    return pid


def eventually(question: Callable[[], Any], wanted: Any, seconds: float = PATIENCE) -> None:
    """Ask until the answer is (or, if a set is wanted, is one of) `wanted`; fail with the last answer."""
    try:
        until(
            question,
            lambda answer: answer in wanted if isinstance(wanted, set) else answer == wanted,
            seconds=seconds,
        )
    except AssertionError as error:
        raise AssertionError(f"wanted {wanted!r}, {error}") from None


def client_address(answer: str) -> str | None:
    found = re.search(r"^client_address=(\S+)$", answer, re.MULTILINE)
    return found[1] if found else None


def _run(
    command: list[str],
    *,
    timeout: float,
    check: bool,
    stdin: str | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        command,
        input=stdin or "",
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout

"""Commands in pods, terminals and forwarded ports, by those who know nothing of us."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import aiohttp
import pytest

from tests.cluster.lab import BIN, Lab, eventually
from tests.packets.node.cluster_pods import create, shell, wait
from tests.patience import PATIENCE, reached
from wellhead.client.connection import load

pytestmark = pytest.mark.usefixtures("no_pods_left")


def test_output_exit_codes_input_and_files_pass_through(lab: Lab) -> None:
    create(lab, "one", shell("main", "echo started; sleep 1000"))
    wait(lab, "one")
    eventually(lambda: lab.kubectl("logs", "one"), "started\n")
    kubectl = [str(BIN / "kubectl"), "--kubeconfig", lab.kubeconfig, "exec", "-i", "one", "--"]
    data = b"0123456789abcdef" * 40_000
    echoed = subprocess.run(
        [*kubectl, "cat"], input=data, capture_output=True, check=True, timeout=3 * PATIENCE
    )
    assert echoed.stdout == data
    failed = subprocess.run(
        [*kubectl, "sh", "-c", "echo out; echo err >&2; exit 7"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=3 * PATIENCE,
    )
    assert (failed.returncode, failed.stdout) == (7, b"out\n")
    assert failed.stderr.startswith(b"err\n")
    missing = subprocess.run(
        [*kubectl, "no-such-program"], capture_output=True, check=False, timeout=3 * PATIENCE
    )
    assert missing.stderr.count(b"no-such-program") == 1
    assert missing.stdout == b""
    assert missing.returncode == 1


def test_a_short_command_s_output_and_exit_code_are_kubectl_runs(lab: Lab) -> None:
    command = [str(BIN / "kubectl"), "--kubeconfig", lab.kubeconfig, "run", "short", "--image=busybox"]
    command += ["--restart=Never", "--rm", "-i", "--quiet", "--", "sh", "-c", "cat; exit 5"]
    done = subprocess.run(command, input=b"hello\n", capture_output=True, check=False, timeout=3 * PATIENCE)
    assert done.returncode == 5
    assert done.stdout == b"hello\n"


PYTHONS_CLIENT = """
from kubernetes import client, config
from kubernetes.stream import portforward, stream

config.load_kube_config()
pods = client.CoreV1Api()
shell = stream(pods.connect_get_namespaced_pod_exec, "web", "default", command=["sh"], stdin=True,
               stdout=True, stderr=True, tty=False, _preload_content=False)
shell.write_stdin("echo one; exit 4\\n")
shell.run_forever(timeout=60)
print(shell.read_stdout().strip(), shell.returncode)
# A quick command's output is there whole on a terminal, too.
print({stream(pods.connect_get_namespaced_pod_exec, "web", "default", command=["echo", "two"], stdin=False,
              stdout=True, stderr=True, tty=True) for _ in range(10)})
# Who leaves at once has its input made use of.
writing = stream(pods.connect_get_namespaced_pod_exec, "web", "default", stdin=True, stdout=True, stderr=True,
                 command=["sh", "-c", "cat >/tmp/there; mv /tmp/there /tmp/whole"], _preload_content=False)
writing.write_stdin("x" * 100_000)
writing.close()
print(stream(pods.connect_get_namespaced_pod_exec, "web", "default", stdin=False, stdout=True, stderr=True,
             command=["sh", "-c", "until [ -e /tmp/whole ]; do sleep 0.1; done; wc -c </tmp/whole"]).strip())
forward = portforward(pods.connect_get_namespaced_pod_portforward, "web", "default", ports="8080")
connection = forward.socket(8080)
connection.setblocking(True)
connection.sendall(b"GET /hostname HTTP/1.0\\r\\n\\r\\n")
answer = b""
while data := connection.recv(4096):
    answer += data
print(answer.decode().splitlines()[-1])
"""


def test_pythons_client_runs_commands_and_forwards_ports(lab: Lab) -> None:
    create(lab, "web", shell("main", "exec httpd -f -p 8080 -h /etc"))
    wait(lab, "web")
    done = subprocess.run(
        [sys.executable, "-c", PYTHONS_CLIENT],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=True,
        env={**os.environ, "KUBECONFIG": lab.kubeconfig},
    )
    assert done.stdout.splitlines() == ["one 4", "{'two\\r\\n'}", "100000", "web"]


@pytest.mark.parametrize("way", ["exec?command=sh", "attach?container=main"])
async def test_a_terminal_follows_the_users_and_outlives_their_sessions(lab: Lab, way: str) -> None:
    create(lab, "one", shell("main", "exec sh", stdin=True, stdinOnce=True, tty=True))
    wait(lab, "one")
    connection = load(lab.kubeconfig)
    tls = connection.ssl_context or True
    url = f"{connection.server}/api/v1/namespaces/default/pods/one/{way}&stdin=1&stdout=1&tty=1"
    said, descriptors = b"", len(os.listdir("/proc/self/fd"))
    for rows, columns in ((30, 100), (44, 111)):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, ssl=tls, protocols=["v5.channel.k8s.io"]) as socket,
        ):
            for more in (1, 0):  # as kubectl does it, so that the last one is always a change
                size = {"Width": columns + more, "Height": rows + more}
                await socket.send_bytes(b"\x04" + json.dumps(size).encode())
            await socket.send_bytes(b"\x00stty size\n")
            async with asyncio.timeout(PATIENCE):
                while b"%d %d\r\n" % (rows, columns) not in said:
                    said += (await socket.receive_bytes())[1:]
            if way.startswith("attach"):
                await socket.send_bytes(b"\xff\x00")  # the end of the input, as kubectl's detach keys make it
                async with asyncio.timeout(PATIENCE):
                    *_, last = [message.data async for message in socket]
                assert (last[:1], json.loads(last[1:])["status"]) == (b"\x03", "Success")
    # A closed session's TLS connection is not gone at once (aiohttp's manual).
    await reached(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)


async def test_who_attaches_too_late_sees_what_there_was(lab: Lab) -> None:
    create(lab, "quick", shell("main", "echo one; echo two >&2; exit 1"), restartPolicy="Never")
    wait(lab, "quick", "jsonpath={.status.phase}=Failed")
    connection = load(lab.kubeconfig)
    tls = connection.ssl_context or True
    url = f"{connection.server}/api/v1/namespaces/default/pods/quick/attach?stdout=1&stderr=1"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, ssl=tls, protocols=["channel.k8s.io"]) as socket,
    ):
        received = [message.data async for message in socket]
    assert sorted(received) == [b"\x01", b"\x01one\n", b"\x02two\n"]


def test_kubectl_forwards_many_connections_to_a_port(lab: Lab) -> None:
    create(lab, "web", shell("main", "exec httpd -f -p 127.0.0.1:8080 -h /etc"))
    wait(lab, "web")
    command = [str(BIN / "kubectl"), "--kubeconfig", lab.kubeconfig, "port-forward", "pod/web"]
    with subprocess.Popen([*command, ":8080"], stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        port = forward.stdout.readline().partition("127.0.0.1:")[2].split()[0]
        for _ in range(3):
            done = subprocess.run(
                ["curl", "-sS", "--noproxy", "*", "--max-time", "60", f"http://127.0.0.1:{port}/hostname"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == "web\n"
        forward.terminate()
    refused = subprocess.Popen([*command, ":81"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with refused:
        assert refused.stdout is not None
        assert refused.stderr is not None
        port = refused.stdout.readline().partition("127.0.0.1:")[2].split()[0]
        subprocess.run(["curl", "-s", "--noproxy", "*", f"http://127.0.0.1:{port}/"], check=False)
        assert "error forwarding port 81 to pod: Connection refused" in refused.stderr.read()

"""Names: asked for by pods with programs that know nothing of us, and while the server is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.lab import BIN, Lab, eventually, kill, pid_of
from tests.patience import until
from wellhead.lab import processes

BUSYBOX = "busybox"
SERVERS = ["10.0.0.10", "fd00:10::a"]
DOMAIN = "svc.cluster.local"


@pytest.fixture(scope="module", autouse=True)
def _shop(lab: Lab, namespace: str) -> None:
    """A pod that asks, one that serves its name as `db-0.db`, and the Services before it."""
    lab.run_pod("box", "node-1", namespace, BUSYBOX)
    serve = {"name": "main", "image": BUSYBOX, "command": ["httpd", "-f", "-p", "8080", "-h", "/etc"]}
    lab.run_pod("db-0", "node-2", namespace, hostname="db-0", subdomain="db", containers=[serve])
    lab.expose("db", "db-0", namespace, clusterIP="None", ports=[{"name": "http", "port": 8080}])
    lab.expose("web", "db-0", namespace)
    lab.apply(external("alias", f"web.{namespace}.{DOMAIN}", namespace))
    # Who knows of these knows all that was made before.
    for kind, name, answer in (("a", "alias", f"web.{namespace}"), ("srv", "_http._tcp.db", " 8080 db-0.db")):
        ask = ("nslookup", f"-type={kind}", f"{name}.{namespace}.{DOMAIN}")
        eventually(lambda ask=ask, answer=answer: answer in box(lab, namespace, *ask), True)  # type: ignore[misc]


def external(name: str, target: str, namespace: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": target},
    }


def box(lab: Lab, namespace: str, *command: str, pod: str = "box") -> str:
    """What a command in a pod prints, whether it fails or not."""
    script = 'exec "$@" 2>&1'
    return lab.kubectl("exec", "-n", namespace, pod, "--", "sh", "-c", script, "sh", *command, check=False)


def test_a_pod_is_told_where_to_ask(lab: Lab, namespace: str) -> None:
    assert box(lab, namespace, "cat", "/etc/resolv.conf").splitlines() == [
        f"search {namespace}.{DOMAIN} {DOMAIN} cluster.local",
        *(f"nameserver {server}" for server in SERVERS),
        "options ndots:5",
    ]


@pytest.mark.parametrize("name", ["web", "web.{}", "web.{}.svc", "web.{}.svc.cluster.local.", "alias"])
def test_a_service_is_reached_by_every_form_of_its_name(lab: Lab, namespace: str, name: str) -> None:
    url = f"http://{name.format(namespace)}/hostname"
    eventually(lambda: box(lab, namespace, "wget", "-qO", "-", url).strip(), "db-0")


def test_a_pod_of_a_headless_service_is_reached_by_its_hostname(lab: Lab, namespace: str) -> None:
    url = f"http://db-0.db.{namespace}:8080/hostname"
    eventually(lambda: box(lab, namespace, "wget", "-qO", "-", url).strip(), "db-0")
    ip = lab.get("pod", "db-0", namespace)["status"]["podIP"]
    assert f"Address: {ip}" in box(lab, namespace, "nslookup", "-type=a", f"db.{namespace}.{DOMAIN}")


def test_the_other_record_types(lab: Lab, namespace: str) -> None:
    srv = box(lab, namespace, "nslookup", "-type=srv", f"_http._tcp.db.{namespace}.{DOMAIN}")
    assert f"0 100 8080 db-0.db.{namespace}.{DOMAIN}" in srv
    assert f"kube-dns.kube-system.{DOMAIN}" in box(lab, namespace, "nslookup", SERVERS[0])
    assert '"1.1.0"' in box(lab, namespace, "nslookup", "-type=txt", "dns-version.cluster.local")
    pod = box(lab, namespace, "nslookup", "-type=a", f"10-1-2-3.{namespace}.pod.cluster.local")
    assert "Address: 10.1.2.3" in pod


def test_a_name_that_nobody_knows_is_refused_at_once(lab: Lab, namespace: str) -> None:
    assert "bad address" in box(
        lab, namespace, "timeout", "15", "wget", "-qO", "-", "http://www.example.com/"
    )


def test_a_change_is_answered(lab: Lab, namespace: str) -> None:
    name = f"soon.{namespace}.{DOMAIN}"

    def answer() -> str:
        found = box(lab, namespace, "nslookup", "-type=a", name, SERVERS[0])
        return "NXDOMAIN" if "NXDOMAIN" in found else found.split("Address:")[-1].strip()

    assert answer() == "NXDOMAIN"
    ip = lab.expose("soon", "db-0", namespace)["spec"]["clusterIP"]
    eventually(answer, ip)
    lab.kubectl("delete", "service", "soon", "-n", namespace)
    eventually(answer, "NXDOMAIN")


def test_what_a_pod_wants_of_its_resolver_it_gets(lab: Lab, namespace: str) -> None:
    own = {
        "nameservers": ["192.0.2.53"],
        "searches": ["example.com"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    lab.run_pod("own", "node-1", namespace, BUSYBOX, dnsPolicy="None", dnsConfig=own)
    assert box(lab, namespace, "cat", "/etc/resolv.conf", pod="own").split() == (
        ["search", "example.com", "nameserver", "192.0.2.53", "options", "ndots:2"]
    )
    spec = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    lab.run_pod("host", "node-1", namespace, BUSYBOX, **spec)
    assert f"nameserver {SERVERS[0]}" in box(lab, namespace, "cat", "/etc/resolv.conf", pod="host")
    assert "bad" not in box(lab, namespace, "wget", "-qO", "-", f"http://web.{namespace}/", pod="host")


def led_to(lab: Lab) -> list[str]:
    """Where our slices of the Service lead."""
    ours = "kubernetes.io/service-name=kube-dns,endpointslice.kubernetes.io/managed-by=wellhead-dns"
    slices = lab.get("endpointslices", namespace="kube-system", selector=ours)
    return sorted(each["endpoints"][0]["addresses"][0] for each in slices["items"])


def test_who_brings_a_server_of_their_own_gets_the_service(lab: Lab) -> None:
    def select(what: object) -> None:
        patch = json.dumps({"spec": {"selector": what}})
        lab.kubectl("patch", "service", "kube-dns", "-n", "kube-system", "--type=merge", "-p", patch)

    select({"k8s-app": "theirs"})
    eventually(lambda: led_to(lab), [])
    select(None)
    eventually(lambda: led_to(lab), ["10.240.0.2", "fd00:10:240::2"])


def test_the_service_is_put_back(lab: Lab) -> None:
    lab.kubectl("delete", "endpointslice", "-n", "kube-system", "kube-dns-ipv4")
    eventually(lambda: led_to(lab), ["10.240.0.2", "fd00:10:240::2"])
    lab.kubectl("delete", "service", "-n", "kube-system", "kube-dns")
    lab.kubectl("wait", "--for=create", "service/kube-dns", "-n", "kube-system", "--timeout=60s")
    assert lab.get("service", "kube-dns", "kube-system")["spec"]["clusterIPs"] == SERVERS
    eventually(lambda: led_to(lab), ["10.240.0.2", "fd00:10:240::2"])


@contextmanager
def asking(lab: Lab, server: str, name: str) -> Iterator[Callable[[], dict[str, int]]]:
    """Somebody on node-1 asks meanwhile; what they heard, once they are asked to stop."""
    program = str(Path(__file__).with_name("dns_asker.py"))
    line = [str(BIN / "wellhead"), "exec", "--name", lab.name, "node-1", "--", sys.executable, program]
    with subprocess.Popen(
        [*line, server, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"

        def stop() -> dict[str, int]:
            heard: dict[str, int] = json.loads(process.communicate()[0])
            return heard

        try:
            yield stop
        finally:
            process.kill()


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_is_killed_and_no_question_fails(lab: Lab, namespace: str, server: str) -> None:
    ip = lab.get("service", "web", namespace)["spec"]["clusterIP"]
    with asking(lab, server, f"web.{namespace}.{DOMAIN}") as stop:
        for _ in range(2):
            _kill(lab, "control-plane", "dns")
        # Another supervisor has got the sockets back.
        _kill(lab, "", processes.SUPERVISOR)
        _kill(lab, "control-plane", "dns")
        heard = stop()
    assert list(heard) == [ip]


def _kill(lab: Lab, machine: str, component: str) -> None:
    """Kill it, and wait until there is another that works."""

    def pid() -> int:
        return pid_of(lab, machine, component)

    before = kill(lab, machine, component)
    until(pid, lambda now: now not in (0, before))
    if not machine:
        until(lambda: json.loads(lab.wellhead("status", "-o", "json", check=False))["healthy"])

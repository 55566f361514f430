"""`wellhead page` of a cluster of this machine: it sends, changes what it may, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import pytest

from tests.cluster.lab import BIN, CLIENT, NODES, Lab, eventually
from tests.patience import PATIENCE

PCAPNG = b"\x0a\x0d\x0d\x0a"


@dataclass
class Page:
    """A page that runs."""

    process: subprocess.Popen[str]
    link: str

    def call(self, path: str, body: object = None) -> tuple[int, bytes]:
        base, _, token = self.link.partition("/#token=")
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(base + path, data, {"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ask(self, path: str, body: object = None) -> Any:
        status, told = self.call(path, body)
        assert status == 200, told
        return json.loads(told)

    def send(self, **question: str) -> Any:
        return self.ask("/api/send", question)

    def end(self, how: signal.Signals) -> str:
        """What it says when it is told to end, which is to be nothing but where it was."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, errors
        return errors


def started(lab: Lab, *options: str) -> Page:
    process = subprocess.Popen(
        # Who tests may have been told to go on without a terminal, which is inherited.
        ["env", "--default-signal", BIN / "wellhead", "page", "--name", lab.name, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    link = process.stdout.readline().strip()
    if not link:
        raise AssertionError(process.communicate(timeout=PATIENCE)[1])
    return Page(process, link)


@pytest.fixture(scope="module")
def page(lab: Lab, namespace: str) -> Iterator[Page]:
    """A server on node-3, a client pod on node-2, a node port, and a page that may change things."""
    lab.run_pod("server", "node-3", namespace)
    lab.run_pod("asker", "node-2", namespace, image="busybox")
    lab.expose("web", "server", namespace, type="NodePort")
    page = started(lab, "--allow-changes")
    eventually(lambda: seen(page.send(client="client", target=f"svc/{namespace}/web", via="node-1")), "node")
    yield page
    said = page.end(signal.SIGTERM)
    assert said.splitlines() == [
        f"cluster {lab.name}: open this link in a browser of this machine; Ctrl-C ends it."
    ]


def seen(sent: Any) -> str:
    """What became of a request: whose address was seen, or how it ended."""
    outcome = sent["trace"]["way"]["outcomes"][0]
    return str(outcome["seenAs"] if outcome["disposition"] == "delivered" else outcome["disposition"])


def watched(lab: Lab) -> list[str]:
    """The machines in which something still looks at packets for us."""
    return [each for each in NODES if "wellhead-trace" in lab.on(each, "nft", "list", "tables")]


def test_what_is_sent_goes_as_predicted_and_is_kept(lab: Lab, namespace: str, page: Page) -> None:
    def agreed() -> Any:
        sent = page.send(client=f"pod/{namespace}/asker", target="svc/web", namespace=namespace)
        return sent if seen(sent) == "client" and not sent["differences"] else None

    eventually(lambda: agreed() is not None, True)
    sent = page.send(client=f"pod/{namespace}/asker", target="svc/web", namespace=namespace)
    assert sent["predicted"]["frontend"] == "ClusterIP"
    assert sent["diverges"] is None
    assert [hop["place"] for hop in sent["trace"]["hops"]][:2] == [f"pod {namespace}/asker", "node-2"]
    newest, *_ = page.ask("/api/history")
    assert newest["id"] == sent["id"]
    assert page.ask(f"/api/history/{sent['id']}") == sent
    assert page.call(f"/api/history/{sent['id']}.pcapng")[1].startswith(PCAPNG)
    assert "The server sees" in page.call(f"/api/history/{sent['id']}.txt")[1].decode()
    assert watched(lab) == []


def test_a_lever_changes_what_is_seen(lab: Lab, namespace: str, page: Page) -> None:
    pull = {"lever": "external-traffic-policy", "object": f"service/{namespace}/web", "value": "Local"}
    assert page.ask("/api/levers", pull)["done"]

    def by(node: str) -> str:
        return seen(page.send(client="client", target=f"svc/{namespace}/web", via=node))

    eventually(lambda: by("node-3"), "client")
    eventually(lambda: by("node-1"), "dropped")
    answer = page.ask("/api/ask", {"target": "svc/web", "namespace": namespace, "clients": [CLIENT]})
    assert "LocalPolicyDrops" in json.dumps(answer["report"])
    assert page.ask("/api/levers", pull | {"value": "Cluster"})["done"]


def test_a_client_or_target_that_is_not_there_is_refused(page: Page) -> None:
    for question in (
        {"client": "pod/nobody", "target": "svc/web"},
        {"client": "client", "target": "svc/nobody"},
        {"client": "client", "target": "svc/web", "by": "carrier-pigeon"},
    ):
        status, told = page.call("/api/send", question)
        assert (status, bool(json.loads(told)["message"])) == (400, True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_a_page_that_ends_in_the_middle_of_a_request_leaves_nothing(
    lab: Lab, namespace: str, how: signal.Signals
) -> None:
    page = started(lab)
    nobody = {"client": "client", "target": "203.0.113.254:80"}
    sending = threading.Thread(target=lambda: until_it_is_gone(page, nobody))
    sending.start()
    eventually(lambda: watched(lab) != [], True)
    assert "Traceback" not in page.end(how)
    sending.join()
    assert watched(lab) == []


def until_it_is_gone(page: Page, question: object) -> None:
    """One request after the other, so that there is one whenever the page is told to end."""
    with contextlib.suppress(OSError, HTTPException):
        while True:
            page.call("/api/send", question)

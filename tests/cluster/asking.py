"""What tests ask a cluster all the time, without a program that is started for it.

To start `wellhead` or kubectl costs more than all that they do then, and tests wait by asking again. What a
person types is what tests are about; what they look at in between is read here.
"""

from __future__ import annotations

import http.client
import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.patience import until
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES, by_kind
from wellhead.client import connection
from wellhead.lab import processes
from wellhead.lab.processes import Process

_SILENCE = 10.0
"""Seconds: a machine that was switched off says nothing any more, and the next answers another connection."""
_machines: dict[tuple[str, str], Process] = {}


def first_process(cluster: str, machine: str) -> int:
    """Of a machine that is switched on, as the host counts; 0 if it is off."""
    known = _machines.get((cluster, machine))
    if known is None or processes.inspect(known.pid) != known:
        found = (each for each in processes.find(cluster) if each.machine == machine and each.is_init)
        known = next(found, None)
        if known is None:
            return 0
        _machines[cluster, machine] = known
    return known.pid


def get(kubeconfig: str, kind: str, name: str = "", namespace: str = "default", selector: str = "") -> Any:
    """An object, or a list of them. Fails the test if the API server refuses; waits for one that is away."""
    path = _resource(kind).path(namespace, name)
    if selector:
        path += f"?labelSelector={quote(selector)}"
    return _answer(kubeconfig, "GET", path)


def apply(kubeconfig: str, obj: Any) -> None:
    """Create or change an object by server-side apply. Fails the test as `get` does."""
    resource = by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None
    path = resource.path(obj["metadata"].get("namespace", "default"), obj["metadata"]["name"])
    _answer(kubeconfig, "PATCH", f"{path}?fieldManager=tests&force=true&fieldValidation=Strict", obj)


def _answer(kubeconfig: str, verb: str, path: str, obj: Any = None) -> Any:
    server = _server(kubeconfig, Path(kubeconfig).stat().st_mtime_ns)
    body = None if obj is None else json.dumps(obj).encode()
    status, answer = until(lambda: server.answer(verb, path, body)) or (0, b"")
    assert status in (http.client.OK, http.client.CREATED), f"{verb} {path}: {status} {answer.decode()}"
    return json.loads(answer)


class _Server:
    """An API server, by a connection that is kept: its handshake costs ten times as much as a question."""

    def __init__(self, kubeconfig: str) -> None:
        where = connection.load(kubeconfig)
        self._http = http.client.HTTPSConnection(
            urlsplit(where.server).netloc, timeout=_SILENCE, context=where.ssl_context
        )
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/apply-patch+yaml",  # of bodies; JSON is YAML, too
            **where.headers(),
        }
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._http.close()

    def answer(self, verb: str, path: str, body: bytes | None) -> tuple[int, bytes] | None:
        """Status and body; None if nobody answered."""
        with self._lock:
            try:
                self._http.request(verb, path, body, self._headers)
                found = self._http.getresponse()
                return found.status, found.read()
            except (OSError, http.client.HTTPException):
                self._http.close()  # the next question opens it again
                return None


@lru_cache(maxsize=4)
def _server(kubeconfig: str, _written: int) -> _Server:
    return _Server(kubeconfig)


def _resource(kind: str) -> Resource:
    """As kubectl names it: by its plural, singular or a short name."""
    return next(each for each in RESOURCES if kind in (each.plural, each.singular, *each.short_names))
